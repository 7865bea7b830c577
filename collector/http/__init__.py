"""HTTP: bytes to requests, responses to bytes. Knows no event, no property and no log; of the log only its errors."""
