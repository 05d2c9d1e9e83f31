"""Orders at providers in memory, as the API reads them."""


class FakeProviderOrders:
    """Orders; a test puts them in."""

    def __init__(self):
        self.orders = []

    async def by_token(self, token_sha256):
        return next((order for order in self.orders if token_sha256 in order.tokens), None)
