"""A real Kafka for the tests, and what reads from it."""
