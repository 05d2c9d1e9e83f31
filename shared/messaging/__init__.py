"""How events leave a service and reach it: the broker, its topics, publisher, consumer, relay and reconciler."""
