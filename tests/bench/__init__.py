"""The benchmarks: that they measure what they say, and end."""
