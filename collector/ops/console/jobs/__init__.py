"""Redrives and replays as child processes: previews, plans, output. Only the child processes write to logs."""
