"""The domain: aggregates, their state tables, ids and errors; standard library and msgspec only."""
