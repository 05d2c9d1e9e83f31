"""MongoDB and the object store; the only place that knows their drivers, fields and keys."""
