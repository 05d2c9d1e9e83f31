"""Earwitness on one machine with nothing but Python: real servers from wheels, the four services, the demo."""
