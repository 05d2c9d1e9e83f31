"""A finished transcript as a file: plain text, captions, JSON."""
