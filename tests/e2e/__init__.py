"""End to end: all four services as processes. A package, so that the platforms end with its last test."""
