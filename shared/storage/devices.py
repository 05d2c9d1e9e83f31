"""The `devices` collection: tokens as hashes, never the tokens."""

from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.device import Device
from shared.domain.tenant import Tenant
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo

_NEWEST_FIRST = (("_id", DESCENDING),)
_TENANT = [("project_id", ASCENDING), ("mode", ASCENDING)]

INDEXES = (
    IndexModel([*_TENANT, ("_id", DESCENDING)], name="list"),
    IndexModel([*_TENANT, ("end_user_id", ASCENDING), ("_id", DESCENDING)], name="list_by_user"),
    IndexModel([*_TENANT, ("serial_number", ASCENDING)], name="by_serial_number", unique=True),
    IndexModel(
        [("token_sha256", ASCENDING)], name="by_token", unique=True, partialFilterExpression={"token_sha256": {"$type": "string"}}
    ),
)


class Devices:
    """Devices by tenant, and by the hash of their token."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["devices"], Device)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(INDEXES)

    async def add(self, device: Device) -> None:
        """Store a new device; raise `AlreadyExists` when another of the tenant has its serial number."""
        await self._documents.insert(device)

    async def get(self, tenant: Tenant, device_id: str) -> Device | None:
        """Return the device unless it is another tenant's or not there."""
        found = await self._documents.get(device_id)
        return found if found is not None and found.tenant == tenant else None

    async def page(
        self, tenant: Tenant, limit: int, *, end_user_id: str | None = None, before: str | None = None, offset: int = 0
    ) -> list[Device]:
        """Return the tenant's devices newest first, those of one end user and of ids below `before` if given."""
        where = _of(tenant)
        if end_user_id is not None:
            where["end_user_id"] = end_user_id
        if before is not None:
            where["_id"] = {"$lt": before}
        return await self._documents.find(where, _NEWEST_FIRST, limit, offset)


def _of(tenant: Tenant) -> dict[str, Any]:
    return {"project_id": tenant.project_id, "mode": tenant.mode.value}
