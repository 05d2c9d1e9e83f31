"""End users: created, read, and deleted with everything that was recorded of them."""
