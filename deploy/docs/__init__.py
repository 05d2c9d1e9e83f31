"""Documents that are made from the code: what they say cannot drift from it."""
