"""The event collector: takes events over HTTP into the log, and ships the log to sinks."""
