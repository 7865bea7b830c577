"""Load generators and what they send; nothing here knows a scenario."""
