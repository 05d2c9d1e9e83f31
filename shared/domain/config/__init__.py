"""Hierarchical configuration: sections with defaults, overridden level by level (contract section 16)."""
