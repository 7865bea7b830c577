"""What all endpoints of the console share: queries, bodies, excerpts, refusals. Knows no log and no account."""
