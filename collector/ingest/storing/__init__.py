"""Events to the log, and the response to a request once they are durable there. Knows no path and no dialect."""
