"""What is measured: one module a scenario, or a few that are alike; each yields rows."""
