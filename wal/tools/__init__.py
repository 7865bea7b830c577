"""Command-line tools: an operator lists, reads, verifies and repairs a log. The log itself imports none of them."""
