"""Tells customers' servers what happened: every public event, signed, to every endpoint that subscribed to it."""
