"""The `webhook_deliveries` collection: what is sent where, and the schedule of what is still to be sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.delivery import Delivery, DeliveryLine, DeliveryStatus, DueDelivery
from shared.domain.tenant import Tenant
from shared.domain.transition import TransitionRefused
from shared.events.recording import RecordingDeleted
from shared.storage.documents import Documents, to_builtins
from shared.storage.mongo import Mongo
from shared.storage.queue_state import queue_state
from shared.storage.tenancy import BY_TENANT, owned_by

_PENDING = DeliveryStatus.PENDING.value
_WAITING = {"status": _PENDING}
_DELETION = str(RecordingDeleted.__struct_config__.tag)
_BY_ENDPOINT = (("endpoint_id", ASCENDING), ("next_attempt_at", ASCENDING))
_TESTING = {"status": DeliveryStatus.TESTING.value}
_LINE = {"body": 0, "attempts": {"$slice": -1}}
_CLAIMABLE = dict.fromkeys(("endpoint_id", "project_id", "mode", "token"), 1)


class WebhookDeliveries:
    """Deliveries by tenant, one per event and endpoint.

    The queue methods, for the webhook stage, see all tenants, and what waits as `waiting`: events (pending) or tests (testing).
    """

    def __init__(
        self, mongo: Mongo, retention: timedelta = timedelta(days=30), waiting: DeliveryStatus = DeliveryStatus.PENDING
    ) -> None:
        collection = mongo.database["webhook_deliveries"]
        self._documents = Documents(collection, Delivery)
        self._lines = Documents(collection, DeliveryLine, _LINE)
        self._due = Documents(collection, DueDelivery, _CLAIMABLE)
        self._waiting = {"status": waiting.value}
        self._retention = retention

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        owner = [*BY_TENANT, ("endpoint_id", ASCENDING)]
        await self._documents.ensure_indexes(
            (
                IndexModel([("event_id", ASCENDING), ("endpoint_id", ASCENDING)], name="one_per_endpoint", unique=True),
                IndexModel([*owner, ("_id", DESCENDING)], name="list_of_endpoint"),
                IndexModel([*owner, ("status", ASCENDING), ("_id", DESCENDING)], name="list_by_status"),
                IndexModel([*owner, ("event_type", ASCENDING), ("_id", DESCENDING)], name="list_by_type"),
                IndexModel(list(_BY_ENDPOINT), name="due_of_endpoint", partialFilterExpression=_WAITING),
                IndexModel([("next_attempt_at", ASCENDING)], name="due", partialFilterExpression=_WAITING),
                IndexModel(list(_BY_ENDPOINT), name="tests_of_endpoint", partialFilterExpression=_TESTING),
                IndexModel([("recording_id", ASCENDING)], name="of_recording"),
                IndexModel([("created_at", ASCENDING)], name="expiry", expireAfterSeconds=int(self._retention.total_seconds())),
            )
        )

    async def draft_new(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Do as `add_new` does, but return before a crash of the server could not undo it: to be followed by `add_new`."""
        return await self._insert_new(deliveries, hasty=True)

    async def add_new(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Store the deliveries that are not there yet and return them; the others stay as they are."""
        return await self._insert_new(deliveries, hasty=False)

    async def _insert_new(self, deliveries: Sequence[Delivery], *, hasty: bool) -> list[Delivery]:
        if not deliveries:
            return []
        present = await self._documents.insert_new([to_builtins(delivery) for delivery in deliveries], hasty=hasty)
        return [delivery for position, delivery in enumerate(deliveries) if position not in present]

    async def get(self, tenant: Tenant, delivery_id: str) -> Delivery | None:
        """Return the delivery unless it is another tenant's or not there."""
        return await self._documents.find_one(owned_by(tenant) | {"_id": delivery_id})

    async def page(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[DeliveryLine]:
        """Return deliveries newest first, those of ids below `before` if given.

        `matching` holds equalities by field name, that of the endpoint among them.
        """
        return await self._lines.page(owned_by(tenant) | dict(matching), limit, before=before, offset=offset)

    async def replay(self, tenant: Tenant, delivery_id: str, by: str = "") -> Delivery | None:
        """Put an ended delivery back to the beginning of its schedule; None when it is not there.

        Raises `TransitionRefused` when it waits anyway, or when another replay was faster.
        """
        before = await self.get(tenant, delivery_id)
        if before is None:
            return None
        after = before.replayed(by)
        if not await self._write(before, after, owned_by(tenant) | {"status": before.status.value, "token": before.token}):
            raise TransitionRefused(delivery_id, after.status, after.status)
        return after

    async def resume(self, endpoint_id: str) -> int:
        """Make due at once what waits for an endpoint and is not being attempted; return how many deliveries that were."""
        where = _WAITING | {"endpoint_id": endpoint_id, "next_attempt_at": {"$gt": now()}, "worker": None}
        return await self._documents.update_many(where, {"$set": {"next_attempt_at": now()}, "$inc": {"token": 1}})

    async def tests_under_way(self, endpoint_id: str, limit: int) -> int:
        """Count the tests of an endpoint that have not ended, up to `limit`."""
        return await self._documents.count(_TESTING | {"endpoint_id": endpoint_id}, limit)

    async def next_due(self, after_endpoint: str, busy: Sequence[str]) -> DueDelivery | None:
        """Return the delivery due for longest at the first endpoint after `after_endpoint` that has one and is not `busy`."""
        where = self._waiting | {"endpoint_id": {"$gt": after_endpoint, "$nin": list(busy)}, "next_attempt_at": {"$lte": now()}}
        return await self._due.find_one(where, _BY_ENDPOINT)

    async def due_of(self, endpoint_id: str, limit: int) -> list[DueDelivery]:
        """Return what is due at an endpoint, the longest first."""
        where = self._waiting | {"endpoint_id": endpoint_id, "next_attempt_at": {"$lte": now()}}
        return await self._due.find(where, _BY_ENDPOINT, limit)

    async def claim(self, due: DueDelivery, worker: str, until: datetime) -> Delivery | None:
        """Take the delivery for `worker` until the lease ends; None when another was faster, or it cannot be read."""
        where = self._waiting | {"_id": due.id, "token": due.token, "next_attempt_at": {"$lte": now()}}
        change = {"$set": {"worker": worker, "next_attempt_at": until}, "$inc": {"token": 1}}
        return await self._documents.claim(where, change)

    async def record(self, claimed: Delivery, after: Delivery) -> bool:
        """Store what became of a claim; False when a newer claim holds the delivery or it has ended."""
        where = {"status": claimed.status.value, "token": claimed.token, "worker": claimed.worker}
        return await self._write(claimed, after, where)

    async def hold_due(self, endpoint_id: str, until: datetime) -> int:
        """Have what is due at a disabled endpoint wait until then; return how many deliveries that were."""
        where = self._waiting | {"endpoint_id": endpoint_id, "next_attempt_at": {"$lte": now()}}
        change = {"$set": {"next_attempt_at": until, "worker": None}, "$inc": {"token": 1}}
        return await self._documents.update_many(where, change)

    async def cancel_due(self, endpoint_id: str) -> int:
        """Cancel what is due at an endpoint that is gone; return how many deliveries that were."""
        where = self._waiting | {"endpoint_id": endpoint_id, "next_attempt_at": {"$lte": now()}}
        change = {"status": DeliveryStatus.CANCELLED.value, "next_attempt_at": None, "worker": None, "updated_at": now()}
        return await self._documents.update_many(where, {"$set": change, "$inc": {"token": 1}})

    async def erase_texts(self, tenant: Tenant, recording_id: str) -> None:
        """Erase what deliveries hold of a deleted recording, all but the news of its deletion.

        What was still to be sent is cancelled; what receivers answered, which may repeat it, goes too. A delivery loses its text
        with the write after which nobody sends it, and whoever has read it before can neither record nor replay it.
        """
        where = owned_by(tenant) | {"recording_id": recording_id, "event_type": {"$ne": _DELETION}}
        ended = {"status": {"$ne": _PENDING}, "body": {"$ne": b""}}
        erased = {"body": b"", "attempts.$[].response": ""}
        cancelled = {"status": DeliveryStatus.CANCELLED.value, "next_attempt_at": None, "worker": None, "updated_at": now()}
        await self._documents.update_many(where | _WAITING, {"$set": cancelled | erased, "$inc": {"token": 1}})
        await self._documents.update_many(where | ended, {"$set": erased, "$inc": {"token": 1}})

    async def queue_state(self) -> tuple[int, float]:
        """Return how many deliveries are due, and for how many seconds the oldest has been."""
        return await queue_state(self._due, "next_attempt_at", self._waiting)

    async def _write(self, before: Delivery, after: Delivery, where: dict[str, Any]) -> bool:
        fields = Delivery.__struct_fields__
        changes = {name: to_builtins(getattr(after, name)) for name in fields if getattr(after, name) != getattr(before, name)}
        return await self._documents.update(where | {"_id": before.id}, {"$set": changes})
