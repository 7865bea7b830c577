"""The progress of other nodes' logs that arrive here. Knows nothing of requests."""
