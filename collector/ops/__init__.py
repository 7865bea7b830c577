"""Information for operators about a running node. Knows neither requests nor sinks."""
