"""A Kafka of one node, for the benchmark of its sink and for the tests of it."""
