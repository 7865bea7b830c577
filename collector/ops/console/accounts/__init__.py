"""The books of a node: events by day, property and fate. Knows no endpoint and no stream."""
