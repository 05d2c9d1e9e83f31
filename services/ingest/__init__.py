"""The HTTP API: credentials, resources, uploads and everything a client reads."""
