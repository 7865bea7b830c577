"""Dead letters: the log of refused events, its reader, and their second chance. Knows no request."""
