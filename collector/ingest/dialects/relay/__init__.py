"""Other nodes, which relay their logs to this one. Knows the relayed logs by an interface."""
