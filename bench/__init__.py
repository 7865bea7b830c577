"""Benchmarks that anyone can run: each compares two things in one run on one machine."""
