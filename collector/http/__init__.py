"""HTTP: bytes to requests, responses to bytes. It knows no event, no property and no log."""
