"""Benchmarks: each prints a ratio against its peer, measured in the same run."""
