"""The way out: the log's blocks become batches, and sinks get each batch once."""
