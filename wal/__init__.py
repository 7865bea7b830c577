"""A segmented, append-only log of JSON lines that survives a crash: bytes, files and sequences, nothing of HTTP."""

__version__ = "0.1.0"
"""Of the distribution: `wal` and `collector` are released together, and pyproject.toml reads it here."""
