"""Command-line tools over a log: what an operator reads, verifies and repairs it with. Nothing in `wal/` needs them."""
