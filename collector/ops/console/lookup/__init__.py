"""Events that are found again in the logs, by id or by filters, and their fates. Knows no ring and no stream."""
