"""The processes of `collector serve`: supervisor, workers and admin. Knows nothing of requests and events."""
