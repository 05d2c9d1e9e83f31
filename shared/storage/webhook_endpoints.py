"""The `webhook_endpoints` collection."""

from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.tenant import Tenant
from shared.domain.webhook import EndpointStatus, WebhookEndpoint
from shared.storage.documents import Documents, to_builtins
from shared.storage.mongo import Mongo

_NEWEST_FIRST = (("_id", DESCENDING),)
_MOST_SUBSCRIBERS = 1_000


class WebhookEndpoints:
    """Endpoints by tenant; a deleted one stays as a row that nothing shows."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["webhook_endpoints"], WebhookEndpoint)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        keys = [("project_id", ASCENDING), ("mode", ASCENDING), ("deleted_at", ASCENDING), ("_id", DESCENDING)]
        await self._documents.ensure_indexes((IndexModel(keys, name="list"),))

    async def add(self, endpoint: WebhookEndpoint) -> None:
        """Store a new endpoint."""
        await self._documents.insert(endpoint)

    async def get(self, tenant: Tenant, endpoint_id: str) -> WebhookEndpoint | None:
        """Return the endpoint unless it is another tenant's, deleted or not there."""
        return await self._documents.find_one(_of(tenant) | {"_id": endpoint_id})

    async def page(self, tenant: Tenant, limit: int, *, before: str | None = None, offset: int = 0) -> list[WebhookEndpoint]:
        """Return the tenant's endpoints newest first, those of ids below `before` if given."""
        where = _of(tenant)
        if before is not None:
            where["_id"] = {"$lt": before}
        return await self._documents.find(where, _NEWEST_FIRST, limit, offset)

    async def subscribed(self, tenant: Tenant, event_type: str) -> list[WebhookEndpoint]:
        """Return the tenant's enabled endpoints that hear of this type of event."""
        found = await self._documents.find(_of(tenant), _NEWEST_FIRST, _MOST_SUBSCRIBERS)
        return [endpoint for endpoint in found if endpoint.hears(event_type)]

    async def replace(self, endpoint: WebhookEndpoint) -> bool:
        """Store the endpoint as it is now; return False when it is gone."""
        document: dict[str, Any] = to_builtins(endpoint)
        return await self._documents.update(_of(endpoint.tenant) | {"_id": document.pop("_id")}, {"$set": document})

    async def remove(self, tenant: Tenant, endpoint_id: str) -> bool:
        """Delete the endpoint, its secrets included; return whether there was one."""
        change = {"$set": {"deleted_at": now(), "updated_at": now(), "status": EndpointStatus.DISABLED.value, "secrets": []}}
        return await self._documents.update(_of(tenant) | {"_id": endpoint_id}, change)

    async def disable(self, tenant: Tenant, endpoint_id: str, reason: str) -> bool:
        """Stop sending to the endpoint, and say why; return whether it was enabled."""
        where = _of(tenant) | {"_id": endpoint_id, "status": EndpointStatus.ENABLED.value}
        change = {"status": EndpointStatus.DISABLED.value, "disabled_reason": reason, "updated_at": now()}
        return await self._documents.update(where, {"$set": change})

    async def note_failure(self, tenant: Tenant, endpoint_id: str, at: datetime) -> WebhookEndpoint | None:
        """Note a failed delivery and return the endpoint; `failing_since` keeps the first of a run of failures."""
        await self._documents.update(_of(tenant) | {"_id": endpoint_id, "failing_since": None}, {"$set": {"failing_since": at}})
        return await self.get(tenant, endpoint_id)

    async def note_success(self, tenant: Tenant, endpoint_id: str) -> None:
        """End a run of failures, if there is one."""
        where = _of(tenant) | {"_id": endpoint_id, "failing_since": {"$type": "date"}}
        await self._documents.update(where, {"$set": {"failing_since": None}})


def _of(tenant: Tenant) -> dict[str, Any]:
    return {"project_id": tenant.project_id, "mode": tenant.mode.value, "deleted_at": None}
