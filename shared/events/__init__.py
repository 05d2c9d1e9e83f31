"""What crosses Kafka: facts, their topics and the resources they carry."""
