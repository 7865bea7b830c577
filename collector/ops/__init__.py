"""Information for operators about a running node. Knows no request; of sinks, their state and what they hold."""
