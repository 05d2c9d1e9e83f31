"""How many attempts may run at once: in all, and at one endpoint, so that no slow receiver holds up the others."""

import asyncio
from collections import Counter

from shared.domain.webhook import WebhookEndpoint

FAILING_SHARE = 4  # an endpoint that fails gets a fourth of what a healthy one may have


class Slots:
    """Slots of this process; whoever takes one gives it back. `freed` is set when one is that somebody wanted."""

    def __init__(self, in_all: int, per_endpoint: int) -> None:
        self._in_all, self._per_endpoint = in_all, per_endpoint
        self._taken: Counter[str] = Counter()
        self._limits: dict[str, int] = {}
        self._wanted = False
        self.freed = asyncio.Event()

    @property
    def free(self) -> int:
        """How many attempts may begin, whatever the endpoint."""
        return self._in_all - self._taken.total()

    def free_at(self, endpoint: WebhookEndpoint) -> int:
        """Return how many attempts may begin at the endpoint; one that fails gets fewer, so that dozens may hang."""
        share = 1 if endpoint.failing_since is None else FAILING_SHARE
        limit = self._limits[endpoint.id] = max(1, self._per_endpoint // share)
        return max(0, min(limit - self._taken[endpoint.id], self.free))

    def take(self, endpoint: WebhookEndpoint) -> bool:
        """Take a slot if there is one."""
        if self.free_at(endpoint) == 0:
            self.want()
            return False
        self._taken[endpoint.id] += 1
        return True

    def give_back(self, endpoint_id: str) -> None:
        """Free a slot that was taken."""
        self._taken[endpoint_id] -= 1
        if self._taken[endpoint_id] == 0:
            del self._taken[endpoint_id]
            self._limits.pop(endpoint_id, None)
        if self._wanted:
            self._wanted = False
            self.freed.set()

    def want(self) -> None:
        """Have `freed` set by the next slot that is given back: deliveries wait for one."""
        self._wanted = True

    def full(self) -> list[str]:
        """Return the endpoints that have all the slots they may have."""
        return [endpoint_id for endpoint_id, taken in self._taken.items() if taken >= self._limits[endpoint_id]]
