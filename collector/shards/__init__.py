"""Shards: one writer's log with its shippers, and the adoption of shards whose worker is gone. Knows no request."""
