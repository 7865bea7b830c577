"""Stores of files: a local folder, and the delivery that all stores share. Knows no format's bytes."""
