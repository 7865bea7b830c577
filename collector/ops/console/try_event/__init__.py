"""The view Try: sends an event to the own port like any client, and finds what is stored. Knows no worker."""
