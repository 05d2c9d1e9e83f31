"""The demo: the whole platform at work on real speech, watched live."""
