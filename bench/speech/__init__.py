"""The speech lab: how well and how fast speech is turned into who said what."""
