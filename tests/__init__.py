"""The tests by layer; what several of them need lies here."""
