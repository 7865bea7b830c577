"""The objects sink."""
