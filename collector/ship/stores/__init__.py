"""Stores of files: a local folder, and what all stores have in common. Knows no format's bytes."""
