"""The `events` collection: every event that left an outbox, kept for replay and for the webhook stage's reconciliation."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from bson import Timestamp
from pymongo import ASCENDING, IndexModel

from shared.domain.tenant import Tenant
from shared.events.event import Event
from shared.events.topics import TOPICS
from shared.storage.documents import Documents
from shared.storage.event_documents import stored_form
from shared.storage.kept_forms import read
from shared.storage.mongo import Mongo

_AS_KEPT = (("kept_at", ASCENDING), ("_id", ASCENDING))
_WHEN_STORED = Timestamp(0, 0)  # the server puts its own in place of an empty one
_LATE_S = 2  # between whole seconds: more than one has passed, and no server has crashed and come back within that
_CLOCKS_DIFFER_S = 5  # those of services, by which events occur, and that of MongoDB
_OF_KNOWN_TYPE = {"event.type": {"$in": list(TOPICS)}}  # what a newer release kept is for that release to tell of


class KeptEvent(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """An event as kept; `to_fan_out` holds until the webhook stage has made its deliveries."""

    id: str
    recording_id: str
    occurred_at: datetime
    to_fan_out: bool
    kept_at: Any = None  # MongoDB's own timestamp: its clock's seconds and a count; none of what was kept without
    event: dict[str, Any]


class Kept(msgspec.Struct, frozen=True):
    """An event and where it stands in the order in which events were kept; a position of 0 is not known."""

    event: Event
    position: int


class Events:
    """Kept events; they expire after the retention time."""

    def __init__(self, mongo: Mongo, retention: timedelta = timedelta(days=7)) -> None:
        self._documents = Documents(mongo.database["events"], KeptEvent)
        self._retention = retention

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(
            (
                IndexModel([("occurred_at", ASCENDING)], name="expiry", expireAfterSeconds=int(self._retention.total_seconds())),
                IndexModel(
                    [("occurred_at", ASCENDING), ("_id", ASCENDING)],
                    name="to_fan_out",
                    partialFilterExpression={"to_fan_out": True},
                ),
                IndexModel([("recording_id", ASCENDING), ("kept_at", ASCENDING), ("_id", ASCENDING)], name="of_recording_kept"),
            )
        )

    async def show(self, events: Sequence[Event]) -> None:
        """Make events readable here; until they are kept as well, a crash of the server may take them away again."""
        await self._documents.insert_new([_document(event) for event in events], hasty=True)

    async def keep(self, events: Sequence[Event]) -> None:
        """Keep events; those already kept stay as they are."""
        await self._documents.insert_new([_document(event) for event in events])

    async def not_fanned_out(self, older_than: datetime, limit: int) -> list[Event]:
        """Return events of which the webhook stage has not heard, oldest first, however many before them cannot be read."""
        due = {"to_fan_out": True, "occurred_at": {"$lte": older_than}, **_OF_KNOWN_TYPE}
        return await self._documents.find_queued_as(due, (("occurred_at", ASCENDING), ("_id", ASCENDING)), limit, self._read)

    def _read(self, kept: KeptEvent) -> Event | None:
        return read(kept.event, self._documents.name)

    async def fanned_out(self, event_ids: Sequence[str]) -> None:
        """Remember that the deliveries of these events are made."""
        await self._documents.update_many({"_id": {"$in": list(event_ids)}}, {"$set": {"to_fan_out": False}})

    async def fanned_out_among(self, event_ids: Sequence[str]) -> frozenset[str]:
        """Return those of these events of which that is remembered."""
        where = {"_id": {"$in": list(event_ids)}, "to_fan_out": False}
        return frozenset(one["_id"] for one in await self._documents.project(where, ["_id"], None, len(event_ids)))

    async def kept_since(self, tenant: Tenant, recording_id: str, position: int, limit: int) -> list[Kept]:
        """Return a recording's events after `position` in the order in which they were kept; 0: from the first.

        What cannot be read is passed over; fewer than `limit` are the last.
        """
        where: dict[str, Any] = {**_of(tenant), "recording_id": recording_id, **_OF_KNOWN_TYPE}
        if position:
            where["kept_at"] = {"$gt": Timestamp(position >> 32, position & 0xFFFFFFFF)}
        return await self._documents.find_queued_as(where, _AS_KEPT, limit, self._kept)

    def _kept(self, kept: KeptEvent) -> Kept | None:
        event = self._read(kept)
        return None if event is None else Kept(event, _position(kept))

    async def position_after(self, tenant: Tenant, recording_id: str, event_id: str) -> int:
        """Return a position after which everything stands that was kept since one of a recording's events could first be read.

        0 when it is not among them (any more). A crash of the server may have taken the event away when it had been told of, and
        it was kept anew, after what came meanwhile: so of one that was kept late this is a moment before it occurred.
        """
        asked = {**_of(tenant), "_id": event_id, "recording_id": recording_id, **_OF_KNOWN_TYPE}
        found = await self._documents.find_readable(asked, (("_id", ASCENDING),), 1)
        return _first_position(found[0]) if found and self._read(found[0]) is not None else 0

    async def erase_texts(self, tenant: Tenant, recording_id: str) -> None:
        """Take out of a recording's events what people wrote on it, its name and metadata; the facts stay for their time."""
        owner = {"event.project_id": tenant.project_id, "event.mode": tenant.mode.value}
        where = {"recording_id": recording_id, "event.recording": {"$type": "object"}, **owner}
        await self._documents.update_many(where, {"$set": {"event.recording.name": None, "event.recording.metadata": {}}})


def _document(event: Event) -> dict[str, Any]:
    return {
        "_id": event.event_id,
        "recording_id": event.recording_id,
        "occurred_at": event.occurred_at,
        "to_fan_out": TOPICS[event.type].public,
        "kept_at": _WHEN_STORED,
        "event": stored_form(event),
    }


def _of(tenant: Tenant) -> dict[str, Any]:
    return {"event.project_id": tenant.project_id, "event.mode": tenant.mode.value}


def _position(found: KeptEvent) -> int:
    stamp = found.kept_at
    return 0 if stamp is None else stamp.time << 32 | stamp.inc


def _first_position(found: KeptEvent) -> int:
    """Return where the event stood at first, or a place before that if it may have been kept anew."""
    stamp, occurred_s = found.kept_at, int(found.occurred_at.timestamp())
    if stamp is None or stamp.time - occurred_s < _LATE_S:
        return _position(found)
    return (occurred_s - _CLOCKS_DIFFER_S) << 32
