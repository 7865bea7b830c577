"""HTTP: bytes to requests, responses to bytes. Knows nothing of events, properties and the log."""
