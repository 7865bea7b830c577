"""The parts of the Kafka sink: properties, messages, faults, the cursor topic and a producer's transactions."""
