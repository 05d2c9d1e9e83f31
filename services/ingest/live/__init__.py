"""The live view: a recording's events as server-sent events, those that were and those that come (contract A26)."""
