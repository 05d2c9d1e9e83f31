"""The `recordings` collection: media, job and outbox inside."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.recording import Intake, Recording, RecordingStatus, RecordingVersion
from shared.domain.tenant import Mode, Tenant
from shared.domain.transition import TransitionRefused, VersionConflict
from shared.events.transcription import TranscriptionEvent
from shared.storage.aggregates import AGGREGATE_INDEXES, Aggregates
from shared.storage.documents import Change, Documents, but_for
from shared.storage.mongo import Mongo
from shared.storage.pages import Pages
from shared.storage.queue_state import queue_state
from shared.storage.reflection import in_line
from shared.storage.tenancy import BY_TENANT, owned_by

_CONFLICT_TRIES = 20
_ASIDE = {"manifest": 0, "outbox": 0}  # read by themselves by those who need them

_FILTERS = {"device_id": "device", "end_user_id": "user", "status": "status"}


def _listings() -> Iterator[IndexModel]:
    """Yield an index for every combination of filters that a list may have, which gives what matches newest first.

    Those by device hold only what a device recorded.
    """
    some = {"partialFilterExpression": {"device_id": {"$gt": ""}}}
    for fields in (chosen for count in range(4) for chosen in combinations(_FILTERS, count)):
        keys = [(field, ASCENDING) for field in ("deleted_at", *fields)]
        of, held = ("recorded", some) if "device_id" in fields else ("list", {})
        name = "_by_".join((of, *(_FILTERS[field] for field in fields)))
        yield IndexModel([*BY_TENANT, *keys, ("_id", DESCENDING)], name=name, **held)


INDEXES = (
    *AGGREGATE_INDEXES,
    *_listings(),
    IndexModel(
        [*BY_TENANT, ("device_id", ASCENDING), ("recording_uuid", ASCENDING), ("recording_generation", ASCENDING)],
        name="one_per_uuid",
        unique=True,
        partialFilterExpression={"recording_uuid": {"$type": "string"}, "deleted_at": {"$type": "null"}},
    ),
    IndexModel([*BY_TENANT, ("media.id", ASCENDING)], name="by_media", partialFilterExpression={"media.id": {"$exists": True}}),
    IndexModel([("updated_at", ASCENDING)], name="transcription_due", partialFilterExpression={"transcription_due": True}),
    IndexModel([("sweep_at", ASCENDING)], name="to_sweep", partialFilterExpression={"sweep_at": {"$type": "date"}}),
    IndexModel([("erasure.due_at", ASCENDING)], name="to_erase", partialFilterExpression={"erasure.due_at": {"$type": "date"}}),
)


class KeptManifest(msgspec.Struct, frozen=True):
    """The manifest in a recording's document."""

    project_id: str
    mode: Mode
    manifest: bytes | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose recording it is."""
        return Tenant(self.project_id, self.mode)


class Recordings(Aggregates[Recording]):
    """Recordings by tenant; ids sort by time, so newest first is the order of `_id` downwards."""

    def __init__(self, mongo: Mongo) -> None:
        super().__init__(Documents(mongo.database["recordings"], Recording, _ASIDE), Recording)
        self._intakes = self._documents.seen_as(Intake)
        self._manifests = self._documents.seen_as(KeptManifest)
        self._versions = Documents(mongo.database["recordings"], RecordingVersion, fields={"version": 1})
        self._first_versions = Pages(mongo.database["recordings"], RecordingVersion)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(INDEXES)

    async def page(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[Recording]:
        """Return recordings newest first, those of ids below `before` if given; `matching` holds equalities by field name."""
        return await self._documents.page(_listed(tenant, matching), limit, before=before, offset=offset)

    async def page_of_versions(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> Sequence[RecordingVersion]:
        """Return which recordings `page` would return, in which versions they stand; the same object for equal first pages."""
        where = _listed(tenant, matching)
        if offset:
            return await self._versions.page(where, limit, before=before, offset=offset)
        return await self._first_versions.first(where if before is None else where | {"_id": {"$lt": before}}, limit)

    async def those_of(self, tenant: Tenant, versions: Sequence[RecordingVersion]) -> list[Recording]:
        """Return those of the recordings that stand in just these versions and are not deleted, in no order."""
        wanted = {one.id: one.version for one in versions}
        found = await self._documents.find_all(wanted)
        present = [one for one in found if one.tenant == tenant and one.deleted_at is None]
        return [one for one in present if wanted[one.id] == one.version]

    async def undeleted(self, tenant: Tenant, recording_ids: Collection[str]) -> frozenset[str]:
        """Return the ids of those of these recordings that are there and not deleted."""
        where = {"_id": {"$in": list(recording_ids)}}
        found = await self._documents.project(where, ("project_id", "mode", "deleted_at"), None, len(recording_ids))
        mine = [one for one in found if (one["project_id"], one["mode"]) == (tenant.project_id, tenant.mode.value)]
        return frozenset(one["_id"] for one in mine if one["deleted_at"] is None)

    async def twin_of(self, recording: Recording) -> Recording | None:
        """Return the recording that has the tenant, device, uuid and generation of this one and is not deleted."""
        same: dict[str, Any] = {name: getattr(recording, name) for name in ("device_id", "recording_generation")}
        of_uuid = {"recording_uuid": {"$eq": recording.recording_uuid, "$type": "string"}, "deleted_at": {"$type": "null"}}
        return await self._documents.find_one(owned_by(recording.tenant) | same | of_uuid)

    async def by_media(self, tenant: Tenant, media_id: str) -> Recording | None:
        """Return the recording that this file belongs to, unless it is deleted."""
        return await self._documents.find_one(owned_by(tenant) | {"media.id": media_id, "deleted_at": None})

    async def due_for_transcription(self, older_than: datetime, limit: int, but: Sequence[str] = ()) -> list[Recording]:
        """Return recordings whose automatic transcription nobody has decided since `older_than`, but for those of these ids."""
        where = but_for(but, {"transcription_due": True, "updated_at": {"$lte": older_than}})
        return await self._documents.find_queued(where, (("updated_at", ASCENDING),), limit)

    async def intake(self, tenant: Tenant, recording_id: str) -> Intake | None:
        """Return whether the recording takes chunks, as it stood after this was called; as little as that needs."""
        found = await self._intakes.get(recording_id)
        return found if found is not None and found.tenant == tenant and found.deleted_at is None else None

    async def begin_closing(
        self, tenant: Tenant, recording_id: str, sight: Mapping[str, str], mark: str, until: datetime
    ) -> Recording | None:
        """Mark an open streaming recording, of which `sight` holds, as closing, until then at the least, and return it.

        Who reads it from now on sees the mark, unless a crash takes it away: then no `save` of what this returned succeeds. A
        `mark` is for whoever made it up alone, and for one attempt at a time.
        """
        is_open = {"status": RecordingStatus.STREAMING.value, "streaming": True, "finalization": None, "deleted_at": None}
        change = {"$addToSet": {"closing_by": mark}, "$max": {"closing_until": until}}
        return await self._documents.change(owned_by(tenant) | {"_id": recording_id, **sight, **is_open}, change, hasty=True)

    async def end_closing(self, tenant: Tenant, recording_id: str, mark: str) -> None:
        """Take one mark away; chunks go on waiting while there are others."""
        others = {"$setDifference": ["$closing_by", [mark]]}
        until = {"$cond": [{"$eq": ["$closing_by", []]}, None, "$closing_until"]}
        change: Change = [{"$set": {"closing_by": others}}, {"$set": {"closing_until": until}}]
        await self._documents.update(owned_by(tenant) | {"_id": recording_id, "closing_by": mark}, change, hasty=True)

    async def void_closing(self, tenant: Tenant, recording_id: str, until: datetime) -> None:
        """Take all marks away that end at `until`, unless one was added meanwhile; whoever set them saves nothing any more.

        That is so for good before the first reader finds no mark: else one who found none would be wrong after a crash.
        """
        marked = owned_by(tenant) | {"_id": recording_id, "closing_until": until}
        if await self._documents.update(marked, {"$inc": {"version": 1}}):
            await self._documents.update(marked, {"$set": {"closing_until": None, "closing_by": []}}, hasty=True)

    async def manifest(self, tenant: Tenant, recording_id: str) -> bytes | None:
        """Return the manifest that was saved with the recording."""
        found = await self._manifests.get(recording_id)
        return found.manifest if found is not None and found.tenant == tenant else None

    def _as_read(self, before: Recording) -> dict[str, Any]:
        """Where a crash undid what `before` tells of, its version may be of another finalize, or of the first."""
        marks = {"closing_by": {"$all": list(before.closing_by)}} if before.closing_by else {}
        job_id = before.finalization and before.finalization.stitching_job_id
        return super()._as_read(before) | marks | {"finalization.stitching_job_id": job_id}

    async def to_sweep(self, before: datetime, limit: int) -> list[Recording]:
        """Return recordings whose sweep has been due since `before`, the longest due first."""
        where = {"sweep_at": {"$lte": before, "$type": "date"}}
        return await self._documents.find_queued(where, (("sweep_at", ASCENDING),), limit)

    async def to_erase(self, limit: int) -> list[Recording]:
        """Return deleted recordings of which a sweep is due, the longest due first."""
        where = {"erasure.due_at": {"$lte": now(), "$type": "date"}}
        return await self._documents.find_queued(where, (("erasure.due_at", ASCENDING),), limit)

    async def erasures_due(self) -> tuple[int, float]:
        """Return of how many deleted recordings a sweep is due, and for how long the oldest has been, in seconds."""
        return await queue_state(self._documents, "erasure.due_at")

    async def remove(self, recording: Recording) -> bool:
        """Remove a deleted recording for good; False when it is not as it was read or its outbox still holds an event."""
        gone = {"_id": recording.id, "version": recording.version, "deleted_at": {"$type": "date"}, "outbox": []}
        return await self._documents.delete(owned_by(recording.tenant) | gone)

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


def _listed(tenant: Tenant, matching: Mapping[str, Any]) -> dict[str, Any]:
    undeleted = {"$type": "null"}  # plain null may mean that there is no such field: two stretches of the index, to be merged
    return owned_by(tenant) | {"deleted_at": undeleted, **matching}
