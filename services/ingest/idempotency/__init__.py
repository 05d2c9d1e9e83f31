"""Idempotency keys: a request that is repeated under its key has its effect once and is answered the same (contract A18)."""
