"""The `recordings` collection: media, job and outbox inside."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.errors import FailureReason
from shared.domain.job import Failure
from shared.domain.recording import Intake, Recording, RecordingStatus, RecordingVersion
from shared.domain.tenant import Tenant
from shared.domain.transition import TransitionRefused, VersionConflict
from shared.events.transcription import (
    TranscriptionCompleted,
    TranscriptionEvent,
    TranscriptionFailed,
    TranscriptionStarted,
)
from shared.storage.aggregates import AGGREGATE_INDEXES, Aggregates
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo
from shared.storage.pages import Pages
from shared.storage.waiting import waiting

_NEWEST_FIRST = (("_id", DESCENDING),)
_TENANT = [("project_id", ASCENDING), ("mode", ASCENDING)]
_CONFLICT_TRIES = 20

_FILTERS = {"device_id": "device", "end_user_id": "user", "status": "status"}


def _listings() -> Iterator[IndexModel]:
    """Yield an index for every combination of filters that a list may have, which gives what matches newest first."""
    for fields in (chosen for count in range(4) for chosen in combinations(_FILTERS, count)):
        keys = [(field, ASCENDING) for field in ("deleted_at", *fields)]
        name = "_by_".join(("list", *(_FILTERS[field] for field in fields)))
        yield IndexModel([*_TENANT, *keys, ("_id", DESCENDING)], name=name)


INDEXES = (
    *AGGREGATE_INDEXES,
    *_listings(),
    IndexModel(
        [*_TENANT, ("device_id", ASCENDING), ("recording_uuid", ASCENDING), ("recording_generation", ASCENDING)],
        name="one_per_uuid",
        unique=True,
        partialFilterExpression={"recording_uuid": {"$type": "string"}, "deleted_at": {"$type": "null"}},
    ),
    IndexModel([*_TENANT, ("media.id", ASCENDING)], name="by_media", partialFilterExpression={"media.id": {"$exists": True}}),
    IndexModel([("updated_at", ASCENDING)], name="transcription_due", partialFilterExpression={"transcription_due": True}),
    IndexModel([("sweep_at", ASCENDING)], name="to_sweep", partialFilterExpression={"sweep_at": {"$type": "date"}}),
    IndexModel([("erasure.due_at", ASCENDING)], name="to_erase", partialFilterExpression={"erasure.due_at": {"$type": "date"}}),
)


class Recordings(Aggregates[Recording]):
    """Recordings by tenant; ids sort by time, so newest first is the order of `_id` downwards."""

    def __init__(self, mongo: Mongo) -> None:
        super().__init__(Documents(mongo.database["recordings"], Recording), Recording)
        self._intakes = self._documents.seen_as(Intake)
        self._versions = Documents(mongo.database["recordings"], RecordingVersion, fields={"version": 1})
        self._first_versions = Pages(mongo.database["recordings"], RecordingVersion)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(INDEXES)

    async def page(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[Recording]:
        """Return recordings newest first, those of ids below `before` if given; `matching` holds equalities by field name."""
        return await self._documents.find(_listed(tenant, matching, before), _NEWEST_FIRST, limit, offset)

    async def page_of_versions(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[RecordingVersion]:
        """Return which recordings `page` would return, and in which versions they stand."""
        where = _listed(tenant, matching, before)
        if offset:
            return await self._versions.find(where, _NEWEST_FIRST, limit, offset)
        return await self._first_versions.first(where, limit)

    async def those_of(self, tenant: Tenant, versions: Sequence[RecordingVersion]) -> list[Recording]:
        """Return those of the recordings that stand in just these versions and are not deleted, in no order."""
        wanted = {one.id: one.version for one in versions}
        found = await self._documents.find_all(wanted)
        present = [one for one in found if one.tenant == tenant and one.deleted_at is None]
        return [one for one in present if wanted[one.id] == one.version]

    async def twin_of(self, recording: Recording) -> Recording | None:
        """Return the recording that has the tenant, device, uuid and generation of this one and is not deleted."""
        same: dict[str, Any] = {name: getattr(recording, name) for name in ("project_id", "device_id", "recording_generation")}
        of_uuid = {"recording_uuid": {"$eq": recording.recording_uuid, "$type": "string"}, "deleted_at": {"$type": "null"}}
        return await self._documents.find_one({**same, "mode": recording.mode.value, **of_uuid})

    async def by_media(self, tenant: Tenant, media_id: str) -> Recording | None:
        """Return the recording that this file belongs to, unless it is deleted."""
        where = {"project_id": tenant.project_id, "mode": tenant.mode.value, "media.id": media_id, "deleted_at": None}
        return await self._documents.find_one(where)

    async def due_for_transcription(self, older_than: datetime, limit: int) -> list[Recording]:
        """Return recordings whose automatic transcription nobody has decided since `older_than`."""
        where = {"transcription_due": True, "updated_at": {"$lte": older_than}}
        return await self._documents.find(where, (("updated_at", ASCENDING),), limit)

    async def intake(self, tenant: Tenant, recording_id: str) -> Intake | None:
        """Return whether the recording takes chunks, as it stood after this was called; as little as that needs."""
        found = await self._intakes.get(recording_id)
        return found if found is not None and found.tenant == tenant and found.deleted_at is None else None

    async def to_sweep(self, before: datetime, limit: int) -> list[Recording]:
        """Return recordings whose sweep has been due since `before`, the longest due first."""
        where = {"sweep_at": {"$lte": before, "$type": "date"}}
        return await self._documents.find(where, (("sweep_at", ASCENDING),), limit)

    async def to_erase(self, limit: int) -> list[Recording]:
        """Return deleted recordings of which a sweep is due, the longest due first."""
        where = {"erasure.due_at": {"$lte": now(), "$type": "date"}}
        return await self._documents.find(where, (("erasure.due_at", ASCENDING),), limit)

    async def erasures_due(self) -> tuple[int, float]:
        """Return of how many deleted recordings a sweep is due, and for how long the oldest has been, in seconds."""
        return await waiting(self._documents, "erasure.due_at")

    async def remove(self, recording: Recording) -> bool:
        """Remove a deleted recording for good; False when it is not as it was read or its outbox still holds an event."""
        where = {"_id": recording.id, "project_id": recording.project_id, "mode": recording.mode.value}
        gone = {"version": recording.version, "deleted_at": {"$type": "date"}, "outbox": []}
        return await self._documents.delete(where | gone)

    async def reflect(self, event: TranscriptionEvent) -> None:
        """Bring a recording's status in line with a fact about its transcription.

        Facts come at least once and perhaps late: one that is not newer than what the recording already shows changes
        nothing, so it may be reflected by whoever publishes it, as often as it is published.
        """
        for refusal in (await self.reflect_all([event])).values():
            raise refusal

    async def reflect_all(self, events: Sequence[TranscriptionEvent]) -> Mapping[str, TransitionRefused]:
        """Reflect many facts, those of one recording in order; return which were refused, by the ids of their events."""
        told = defaultdict[str, list[TranscriptionEvent]](list)
        for event in events:
            told[event.recording_id].append(event)
        for _ in range(_CONFLICT_TRIES):
            refused: dict[str, TransitionRefused] = {}
            read = await self._documents.find_all(told)
            pairs = [(recording, in_line(recording, told[recording.id], refused)) for recording in read]
            changes = [(recording, after) for recording, after in pairs if after is not recording]
            if not changes or await self.save_all(changes):
                return refused
        raise VersionConflict(", ".join(recording.id for recording, _ in changes))


def _listed(tenant: Tenant, matching: Mapping[str, Any], before: str | None) -> dict[str, Any]:
    undeleted = {"$type": "null"}  # plain null may mean that there is no such field: two stretches of the index, to be merged
    where = {"project_id": tenant.project_id, "mode": tenant.mode.value, "deleted_at": undeleted, **matching}
    return where if before is None else where | {"_id": {"$lt": before}}


def in_line(recording: Recording, events: Iterable[TranscriptionEvent], refused: dict[str, TransitionRefused]) -> Recording:
    """Return the recording in line with what of the events told of it is its tenant's and new to it; note which it refuses."""
    for event in events:
        if event.tenant == recording.tenant and _is_news(recording, event):
            try:
                recording = _reflected(recording, event)
            except TransitionRefused as refusal:
                refused[event.event_id] = refusal
    return recording


def _is_news(recording: Recording, event: TranscriptionEvent) -> bool:
    shown = (recording.transcription_id or "", recording.transcription_version)
    return recording.deleted_at is None and (event.transcription_id, event.version) > shown


def _reflected(recording: Recording, event: TranscriptionEvent) -> Recording:
    fields: dict[str, Any] = {"transcription_id": event.transcription_id, "transcription_version": event.version}
    if isinstance(event, TranscriptionStarted):
        fields["status"] = RecordingStatus.PROCESSING
    elif isinstance(event, TranscriptionCompleted):
        fields["status"] = RecordingStatus.COMPLETED
    elif isinstance(event, TranscriptionFailed):
        error = event.transcription.error
        if error is not None and error.code == FailureReason.CANCELLED:
            return recording.changed(**fields, **_as_before(recording))
        fields["status"] = RecordingStatus.FAILED
        fields["failure"] = error and Failure(reason=FailureReason(error.code), message=error.message)
    return recording.changed(**fields)


def _as_before(recording: Recording) -> dict[str, Any]:
    """Return what takes the recording back to where a transcription may be started."""
    return {"status": RecordingStatus.UPLOADED} if recording.status is RecordingStatus.PROCESSING else {}
