"""Rehearsals of the runbook: each fault is brought about on a real collector, and ends by the commands of its page."""
