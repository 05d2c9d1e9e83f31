"""Webhook endpoints and their deliveries, as their owner manages them (contract 12, A19)."""
