"""Formats of files: the bytes that a batch becomes. Knows no store."""
