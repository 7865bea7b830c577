"""The way in: a request becomes a durable record, and its answer."""
