"""Speech providers on the network: each speaks its provider's real HTTP API and answers in the one form of a transcript."""
