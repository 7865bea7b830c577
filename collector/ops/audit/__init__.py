"""`collector audit`: compares the log with the events that sinks hold. It reads, and changes nothing."""
