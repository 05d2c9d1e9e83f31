"""Rate limits: per project, shared by all replicas; and per client address for whoever shows no valid credential."""
