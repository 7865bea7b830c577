"""Dead letters: lists, counts by reason, and one whole. Knows no job."""
