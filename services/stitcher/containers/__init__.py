"""What each audio container looks like in bytes: where a file ends, what is in it, and what is wrong with it."""
