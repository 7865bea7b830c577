"""Information for operators about a running node. Knows no request. Of sinks it knows their state, and what they hold."""
