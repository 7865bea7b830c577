"""Benchmarks that anyone can run: each compares two things in one run. Tests may use it; it uses none of them."""


class BenchError(Exception):
    """A scenario can't be measured here; the message says why and, where something can be done, what."""
