"""Real servers as child processes on free loopback ports: MongoDB, S3 stores and brokers that speak Kafka's protocol."""
