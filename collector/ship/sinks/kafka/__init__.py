"""What the Kafka sink is made of: properties, messages, faults, the cursor topic and a producer's transactions."""
