"""The `devices` collection: tokens as hashes, never the tokens."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.device import FULL_STORAGE_RATIO, LOW_BATTERY_PERCENT, MOST_UNBINDINGS, ONLINE_FOR, Device, DeviceCounts
from shared.domain.tenant import Tenant
from shared.storage.documents import Documents, to_builtins
from shared.storage.mongo import Mongo
from shared.storage.tenancy import BY_TENANT, owned_by

_UNBOUND = dict.fromkeys(("end_user_id", "bound_at", "token_sha256", "token_last_used_at"))
_NOT_COUNTED_FURTHER = 1_000_000
_USED = {"$divide": ["$storage_used_mb", "$storage_total_mb"]}
_USED_RATIO = {"$cond": [{"$gt": ["$storage_total_mb", 0]}, _USED, None]}  # None, too, while one of the two was never told

INDEXES = (
    IndexModel([*BY_TENANT, ("_id", DESCENDING)], name="list"),
    IndexModel([*BY_TENANT, ("end_user_id", ASCENDING), ("_id", DESCENDING)], name="list_by_user"),
    IndexModel([*BY_TENANT, ("serial_number", ASCENDING)], name="by_serial_number", unique=True),
    IndexModel(
        [("token_sha256", ASCENDING)], name="by_token", unique=True, partialFilterExpression={"token_sha256": {"$type": "string"}}
    ),
    IndexModel([*BY_TENANT, ("last_heartbeat_at", ASCENDING)], name="by_heartbeat"),
    IndexModel([*BY_TENANT, ("battery_percent", ASCENDING)], name="by_battery"),
    IndexModel([*BY_TENANT, ("storage_used_ratio", ASCENDING)], name="by_storage"),
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
        where = owned_by(tenant)
        if end_user_id is not None:
            where["end_user_id"] = end_user_id
        return await self._documents.page(where, limit, before=before, offset=offset)

    async def by_serial_number(self, tenant: Tenant, serial_number: str) -> Device | None:
        """Return the tenant's device of this serial number, if there is one."""
        return await self._documents.find_one(owned_by(tenant) | {"serial_number": serial_number})

    async def by_secret(self, secret_sha256: str) -> Device | None:
        """Return the bound device whose token hashes to this."""
        return await self._documents.find_one({"token_sha256": {"$eq": secret_sha256, "$type": "string"}})

    async def touch(self, device_id: str, at: datetime) -> None:
        """Note when the device's token was last used; an earlier time never replaces a later one."""
        await self._documents.update({"_id": device_id}, {"$max": {"token_last_used_at": at}})

    async def change(self, tenant: Tenant, device_id: str, fields: Mapping[str, Any]) -> Device | None:
        """Set `fields` and return the device as it stands then, None when the tenant has none such."""
        return await self._documents.change(owned_by(tenant) | {"_id": device_id}, {"$set": to_builtins(dict(fields))})

    async def heard(self, tenant: Tenant, device_id: str, told: Mapping[str, Any], state: Mapping[str, Any]) -> Device | None:
        """Set what a device has `told`, and in its `state` of recording, and return it as it stands then; None as above.

        What neither names stays as it is at that moment, for a device may be heard of by several ways at once.
        """
        fields: dict[str, Any] = {name: {"$literal": value} for name, value in to_builtins(dict(told)).items()}
        if state:
            fields["recording_state"] = {"$mergeObjects": ["$recording_state", {"$literal": to_builtins(dict(state))}]}
        change = [{"$set": fields}, {"$set": {"storage_used_ratio": _USED_RATIO}}]
        return await self._documents.change(owned_by(tenant) | {"_id": device_id}, change)

    async def bind(self, before: Device, end_user_id: str, token_sha256: str, at: datetime) -> Device | None:
        """Bind the device, which stands as `before` says, to the end user with a new token; None when it has changed.

        The token it had is good no more. To bind it to whom it is bound already counts as no new binding.
        """
        fields: dict[str, Any] = {"token_sha256": token_sha256, "token_last_used_at": None, "updated_at": at}
        if before.end_user_id != end_user_id:
            fields |= {"end_user_id": end_user_id, "bound_at": at, "binding_generation": before.binding_generation + 1}
        return await self._documents.change(_as_bound(before), {"$set": fields})

    async def unbind(self, before: Device, at: datetime, by: str = "") -> Device | None:
        """Free the device, which stands as `before` says, and revoke its token; None when it has changed.

        The request `by`, if it has a name, is remembered by the same write; of one that is free that is all.
        """
        remembered = {"$each": [by] if by else [], "$slice": -MOST_UNBINDINGS}
        change: dict[str, Any] = {"$push": {"unbound_by": remembered}}
        if before.end_user_id is not None:
            change["$set"] = {**_UNBOUND, "updated_at": at}
        return await self._documents.change(_as_bound(before), change)

    async def replace_token(self, tenant: Tenant, device_id: str, old_sha256: str, new_sha256: str) -> bool:
        """Put a new token in the place of the old one; False when the old one is not good any more."""
        where = owned_by(tenant) | {"_id": device_id, "token_sha256": old_sha256}
        return await self._documents.update(where, {"$set": {"token_sha256": new_sha256, "token_last_used_at": None}})

    async def counts(self, tenant: Tenant, at: datetime) -> DeviceCounts:
        """Return how many of the tenant's devices are online, low on battery and short of storage; each by its own index."""
        heard = {"last_heartbeat_at": {"$gt": at - ONLINE_FOR}}
        low = {"battery_percent": {"$lt": LOW_BATTERY_PERCENT}}
        full = {"storage_used_ratio": {"$gt": FULL_STORAGE_RATIO}}
        online, low_battery, storage_full = await asyncio.gather(
            *(self._documents.count(owned_by(tenant) | counted, _NOT_COUNTED_FURTHER) for counted in (heard, low, full))
        )
        return DeviceCounts(online=online, low_battery=low_battery, storage_full=storage_full)


def _as_bound(device: Device) -> dict[str, Any]:
    return owned_by(device.tenant) | {
        "_id": device.id,
        "end_user_id": device.end_user_id,
        "binding_generation": device.binding_generation,
    }
