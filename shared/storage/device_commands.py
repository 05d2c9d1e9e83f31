"""The `device_commands` collection."""

import random
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.device import Device
from shared.domain.device_command import MAX_PENDING, CommandStatus, DeviceCommand, sources_of
from shared.domain.errors import AlreadyExists
from shared.domain.tenant import Tenant
from shared.storage.documents import Documents, to_builtins
from shared.storage.mongo import Mongo
from shared.storage.tenancy import BY_TENANT, owned_by

_OLDEST_FIRST = (("_id", ASCENDING),)
_DEVICE = [*BY_TENANT, ("device_id", ASCENDING)]

_HAS_NONE = {"$eq": [{"$type": "$params.metadata"}, "missing"]}  # a command of a kind that takes no metadata
_NO_METADATA = {"$cond": [_HAS_NONE, "$$REMOVE", {"$literal": {}}]}

INDEXES = (
    IndexModel([*_DEVICE, ("_id", DESCENDING)], name="list"),
    IndexModel([*_DEVICE, ("status", ASCENDING), ("_id", DESCENDING)], name="list_by_status"),
    IndexModel(
        [*_DEVICE, ("idempotency_key", ASCENDING)],
        name="by_idempotency_key",
        unique=True,
        partialFilterExpression={"idempotency_key": {"$type": "string"}},
    ),
    IndexModel(
        [*_DEVICE, ("slot", ASCENDING)],
        name="slots",
        unique=True,
        partialFilterExpression={"status": CommandStatus.PENDING.value, "slot": {"$gte": 0}},
    ),
    IndexModel(
        [*BY_TENANT, ("end_user_id", ASCENDING)],
        name="of_end_user",
        partialFilterExpression={"end_user_id": {"$type": "string"}},
    ),
)


class DeviceCommands:
    """Commands by device; a status moves only as its table says, in the same write that checks it.

    A command holds one of its device's numbered slots while it waits, under a unique index that knows no others: so no more than
    `MAX_PENDING` wait, however many are made at the same moment.
    """

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["device_commands"], DeviceCommand)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(INDEXES)

    async def add(self, command: DeviceCommand) -> bool:
        """Store a new command; return False, and store nothing, when as many wait for the device as may.

        Raises `AlreadyExists` when it is there, or the device has one of its idempotency key.
        """
        while free := await self._free_slots(command):
            try:
                await self._documents.insert(command, slot=random.choice(free))  # noqa: S311 - spreads, guards nothing
            except AlreadyExists:  # of this id or key, or of the slot, which another has taken at the same moment
                if await self._is_there(command):
                    raise
                continue
            return True
        return False

    async def get(self, tenant: Tenant, device_id: str, command_id: str) -> DeviceCommand | None:
        """Return the command unless it is another device's or not there."""
        return await self._documents.find_one(_of(tenant, device_id) | {"_id": command_id})

    async def by_idempotency_key(self, tenant: Tenant, device_id: str, idempotency_key: str) -> DeviceCommand | None:
        """Return the device's command that was given this key."""
        return await self._documents.find_one(
            _of(tenant, device_id) | {"idempotency_key": {"$eq": idempotency_key, "$type": "string"}}
        )

    async def page(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[DeviceCommand]:
        """Return commands newest first, those of ids below `before` if given; `matching` names the device and maybe a status."""
        return await self._documents.page(owned_by(tenant) | dict(matching), limit, before=before, offset=offset)

    async def move(
        self, tenant: Tenant, device_id: str, command_id: str, to: CommandStatus, fields: Mapping[str, Any]
    ) -> DeviceCommand | None:
        """Move the command to `to` and set `fields`; None when the table does not let it, or there is none such."""
        where = _of(tenant, device_id) | {"_id": command_id, "status": _one_of(sources_of(to))}
        return await self._documents.change(where, {"$set": {**to_builtins(dict(fields)), "status": to.value}})

    async def deliver_next(self, device: Device, at: datetime) -> DeviceCommand | None:
        """Mark the oldest command that waits for the device's present binding as delivered and return it."""
        where = _of(device.tenant, device.id) | {"status": CommandStatus.PENDING.value, "expires_at": {"$gt": at}}
        where["binding_generation"] = device.binding_generation
        change = {"$set": {"status": CommandStatus.DELIVERED.value, "delivered_at": at}}
        return await self._documents.change(where, change, _OLDEST_FIRST)

    async def expire(self, tenant: Tenant, device_id: str, at: datetime) -> None:
        """Move every command of the device whose time had passed at `at`, and of which nothing was heard, to expired."""
        due = {"status": _one_of(sources_of(CommandStatus.EXPIRED)), "expires_at": {"$lte": at}}
        await self._documents.update_many(_of(tenant, device_id) | due, {"$set": {"status": CommandStatus.EXPIRED.value}})

    async def cancel_pending(self, ended: Device) -> int:
        """Cancel what waits for the device's binding that has `ended`, or an earlier one; return how many commands that were."""
        where = _of(ended.tenant, ended.id) | {"status": _one_of(sources_of(CommandStatus.CANCELLED))}
        where["binding_generation"] = {"$lte": ended.binding_generation}
        return await self._documents.update_many(where, {"$set": {"status": CommandStatus.CANCELLED.value}})

    async def erase_texts(self, tenant: Tenant, end_user_id: str) -> None:
        """Empty what commands for this end user's bindings say and were answered; that they were given, and when, stays."""
        where = owned_by(tenant) | {"end_user_id": {"$eq": end_user_id, "$type": "string"}}
        await self._documents.update_many(where, [{"$set": {"result": None, "error": None, "params.metadata": _NO_METADATA}}])

    async def _free_slots(self, command: DeviceCommand) -> list[int]:
        where = _of(command.tenant, command.device_id) | {"status": CommandStatus.PENDING.value}
        waiting = await self._documents.project(where, ["slot"], None, MAX_PENDING)
        taken = {document.get("slot") for document in waiting}  # None: made by a release that knew no slots
        return [] if len(waiting) >= MAX_PENDING else [slot for slot in range(MAX_PENDING) if slot not in taken]

    async def _is_there(self, command: DeviceCommand) -> bool:
        if await self._documents.get(command.id) is not None:
            return True
        key = command.idempotency_key
        return key is not None and await self.by_idempotency_key(command.tenant, command.device_id, key) is not None


def _of(tenant: Tenant, device_id: str) -> dict[str, Any]:
    return owned_by(tenant) | {"device_id": device_id}


def _one_of(statuses: frozenset[CommandStatus]) -> dict[str, list[str]]:
    return {"$in": sorted(status.value for status in statuses)}
