"""The processes of `collector serve`: starts, restarts and stops workers. Knows nothing of requests and events."""
