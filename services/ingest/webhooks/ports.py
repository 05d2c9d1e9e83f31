"""What managing webhooks needs from the outside."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from shared.domain.delivery import Delivery, DeliveryLine
from shared.domain.tenant import Tenant
from shared.domain.webhook import WebhookEndpoint


class EndpointStore(Protocol):
    """Webhook endpoints."""

    async def add(self, endpoint: WebhookEndpoint) -> bool:
        """Store a new one; False when the tenant has as many as it may. Raises `AlreadyExists`, of a deleted one, too."""

    async def get(self, tenant: Tenant, endpoint_id: str) -> WebhookEndpoint | None:
        """Return one."""

    async def page(self, tenant: Tenant, limit: int, *, before: str | None = None, offset: int = 0) -> list[WebhookEndpoint]:
        """Return the tenant's, newest first."""

    async def save(self, before: WebhookEndpoint, after: WebhookEndpoint) -> None:
        """Store what `after` has changed; raises `VersionConflict`."""

    async def remove(self, tenant: Tenant, endpoint_id: str) -> bool:
        """Delete one; return whether there was one."""


class DeliveryStore(Protocol):
    """Deliveries, as their owner sees them."""

    async def add_new(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Store those that are not there yet and return them."""

    async def get(self, tenant: Tenant, delivery_id: str) -> Delivery | None:
        """Return one with its body and attempts."""

    async def page(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[DeliveryLine]:
        """Return deliveries newest first, without bodies; `matching` holds equalities by field name."""

    async def replay(self, tenant: Tenant, delivery_id: str, by: str = "") -> Delivery | None:
        """Put an ended delivery back to the beginning of its schedule, at the request `by`; raises `TransitionRefused`."""

    async def resume(self, endpoint_id: str) -> int:
        """Have what waits for an endpoint sent at once; return how many deliveries that were."""

    async def tests_under_way(self, endpoint_id: str, limit: int) -> int:
        """Count the tests of an endpoint that have not ended, up to `limit`."""
