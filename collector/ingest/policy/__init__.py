"""Rules for sending to a property: permission and amount. Knows no record of the log."""
