"""The way in: a request becomes durable records and a response."""
