"""What becomes of every event: counts by property, notices and dead letters of refusals. Decides no outcome."""
