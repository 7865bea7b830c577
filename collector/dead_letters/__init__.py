"""Dead letters: the log of refused events, its reader, and their second chance by today's rules for events."""
