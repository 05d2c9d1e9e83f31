"""Devices: registered, bound to end users, heard of by heartbeats, told what to do by commands."""
