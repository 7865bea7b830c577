"""Who may use the admin address, and who did what there: guard, sessions, tokens. Knows no event."""
