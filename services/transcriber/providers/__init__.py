"""The speech providers, one module each, named by what it wraps."""
