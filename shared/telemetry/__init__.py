"""What a running service says about itself: logs, metrics and health."""
