"""Rules for sending to a property: permission and amount. Pure: none knows how an event is stored."""
