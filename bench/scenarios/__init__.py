"""What is measured: one module a scenario, or a few that are alike. Each scenario is a function that yields rows."""
