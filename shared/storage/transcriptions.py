"""The `transcriptions` collection: job and outbox inside; the text stands apart, in `transcripts`."""

from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.errors import AlreadyExists
from shared.domain.job import JobStatus
from shared.domain.tenant import Tenant
from shared.domain.transcription import SpeechOptions, Transcription, TranscriptionProgress
from shared.events.event import Event
from shared.storage.aggregates import AGGREGATE_INDEXES, Aggregates
from shared.storage.documents import NEWEST_FIRST, Documents, to_builtins
from shared.storage.mongo import Mongo
from shared.storage.tenancy import BY_TENANT, owned_by

INDEXES = (
    *AGGREGATE_INDEXES,
    IndexModel([("recording_id", ASCENDING)], name="one_active", unique=True, partialFilterExpression={"active": True}),
    IndexModel([*BY_TENANT, ("deleted_at", ASCENDING), ("_id", DESCENDING)], name="list"),
    IndexModel([*BY_TENANT, ("deleted_at", ASCENDING), ("status", ASCENDING), ("_id", DESCENDING)], name="list_by_status"),
    IndexModel([("recording_id", ASCENDING), ("_id", DESCENDING)], name="of_recording"),
)
_NO_OPTIONS = to_builtins(SpeechOptions())


class Transcriptions(Aggregates[Transcription]):
    """Transcriptions by tenant; at most one of a recording is active, by unique index."""

    def __init__(self, mongo: Mongo) -> None:
        super().__init__(Documents(mongo.database["transcriptions"], Transcription), Transcription)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(INDEXES)

    async def start(self, transcription: Transcription, event: Event) -> bool:
        """Store a new transcription with its event; False when it is there already or another of the recording is active."""
        try:
            await self.add(transcription, event)
        except AlreadyExists:
            return False
        return True

    async def report(self, claimed: Transcription, progress: TranscriptionProgress) -> None:
        """Show how far the claim's work is; it changes no version, so it stands in nobody's way."""
        held = {"_id": claimed.id, "job.token": claimed.job.token, "job.status": JobStatus.RUNNING.value}
        await self._documents.update(owned_by(claimed.tenant) | held, {"$set": {"progress": to_builtins(progress)}})

    async def page(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[Transcription]:
        """Return transcriptions newest first, those of ids below `before` if given; `matching` holds equalities by field name."""
        where = owned_by(tenant) | {"deleted_at": {"$type": "null"}, **matching}  # see `recordings.py`
        return await self._documents.page(where, limit, before=before, offset=offset)

    async def newest_of(self, tenant: Tenant, recording_id: str) -> Transcription | None:
        """Return the recording's newest transcription."""
        where = owned_by(tenant) | {"deleted_at": None, "recording_id": recording_id}
        return await self._documents.find_one(where, NEWEST_FIRST)

    async def ahead_of(self, waiting: Transcription, limit: int) -> int:
        """Return how many of its project's jobs go before one that waits, counted up to `limit`.

        One that is to be looked at later, as an order at a provider is, goes before none.
        """
        job = waiting.job
        same = {"job.lane": job.lane.value, "project_id": waiting.project_id, "job.worker": None}
        date = {"$type": "date"}
        urgent = same | {"job.priority": {"$gt": job.priority}, "job.available_at": date | {"$lte": now()}}
        earlier = same | {"job.priority": job.priority, "job.available_at": date | {"$lt": job.available_at}}
        counted = await self._documents.count(urgent, limit)
        return min(limit, counted + (await self._documents.count(earlier, limit) if counted < limit else 0))

    async def delete_of(self, tenant: Tenant, recording_id: str) -> None:
        """Delete the transcriptions of a recording: gone from reads, and whoever works on one has lost its lease.

        What its prompt and vocabulary tell of the recording goes with the same write.
        """
        where = owned_by(tenant) | {"recording_id": recording_id, "deleted_at": None}
        at = now()
        stopped = {"active": False, "job.status": JobStatus.FAILED.value, "job.worker": None, "job.available_at": None}
        deleted = {"deleted_at": at, "updated_at": at, "options": _NO_OPTIONS}
        await self._documents.update_many(where | {"active": True}, {"$set": stopped | deleted, "$inc": {"version": 1}})
        await self._documents.update_many(where, {"$set": deleted, "$inc": {"version": 1}})

    async def remove_of(self, tenant: Tenant, recording_id: str) -> bool:
        """Remove the deleted transcriptions of a recording for good; False while an outbox of them holds an event."""
        where = owned_by(tenant) | {"recording_id": recording_id, "deleted_at": {"$type": "date"}}
        await self._documents.delete_many(where | {"outbox": []})
        return await self._documents.count(where, 1) == 0
