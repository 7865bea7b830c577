"""A segmented, append-only log of JSON lines that survives a crash: bytes, files and sequences, nothing of HTTP."""
