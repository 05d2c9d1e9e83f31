"""Hierarchical configuration over HTTP: who is meant, what counts for it, and changes of it (contract section 16)."""
