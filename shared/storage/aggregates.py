"""Documents that move through statuses: version, outbox and job inside, every change one atomic write."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.job import JobStatus, Lane
from shared.domain.tenant import Tenant
from shared.domain.transition import VersionConflict
from shared.events.event import Event
from shared.events.topics import TOPICS
from shared.passed_over import PassedOver
from shared.storage.documents import Documents, but_for, to_builtins
from shared.storage.event_documents import stored_form
from shared.storage.kept_forms import first_readable
from shared.storage.queue_state import queue_state
from shared.storage.tenancy import owned_by

A = TypeVar("A", bound=Any)

AGGREGATE_INDEXES = (
    IndexModel([("outbox.occurred_at", ASCENDING)], name="outbox", sparse=True),
    IndexModel(
        [("job.lane", ASCENDING), ("project_id", ASCENDING), ("job.priority", DESCENDING), ("job.available_at", ASCENDING)],
        name="job_by_project",
        partialFilterExpression={"job.available_at": {"$type": "date"}},
    ),
    IndexModel(
        [("project_id", ASCENDING), ("job.lane", ASCENDING), ("job.worker", ASCENDING)],
        name="running_by_project",
        partialFilterExpression={"job.worker": {"$type": "string"}},
    ),
    IndexModel(
        [("job.lane", ASCENDING), ("job.available_at", ASCENDING)],
        name="job_by_time",
        partialFilterExpression={"job.available_at": {"$type": "date"}},
    ),
)
"""Outbox and queue indexes; they hold only documents that wait for something."""


class Unpublished(msgspec.Struct, frozen=True):
    """The events that one document's outbox still holds, oldest first."""

    aggregate_id: str
    events: tuple[Event, ...]


class Aggregates(Generic[A]):
    """A collection of aggregates. Every write is compare-and-set on the version, with its events in the same document."""

    def __init__(self, documents: Documents[A], form: type[A]) -> None:
        self._documents, self._unreadable = documents, PassedOver()
        self._fields: tuple[str, ...] = form.__struct_fields__

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._documents.name

    async def get(self, tenant: Tenant, aggregate_id: str) -> A | None:
        """Return the aggregate unless it is another tenant's, deleted or not there."""
        found = await self._documents.get(aggregate_id)
        return found if found is not None and found.tenant == tenant and found.deleted_at is None else None

    async def add(self, aggregate: A, *events: Event) -> A:
        """Store a new aggregate with its events; raise `AlreadyExists` when a unique key is taken."""
        await self._documents.insert(aggregate, outbox=[stored_form(event) for event in events])
        return aggregate

    async def save(self, before: A, after: A, *events: Event, **unseen: Any) -> A:  # noqa: ANN401 - fields the Struct does not show
        """Replace `before` by `after` and queue `events`, in one write; `unseen` fields are set with it.

        Raises `VersionConflict` when the document is no longer as `before` says: read again and decide anew. A lease's
        renewal changes no version, so `job` is written only where `after` differs from `before`.
        """
        change = self._change(before, after)
        change["$set"] |= unseen
        if events:
            change["$push"] = {"outbox": {"$each": [stored_form(event) for event in events]}}
        if not await self._documents.update(self._as_read(before), change):
            raise VersionConflict(before.id)
        return after

    async def confirm(self, seen: A) -> None:
        """Return when what was seen is there for good: what can be read may be undone by a crash until it is on the journal.

        Raises `VersionConflict` when the document is no longer as `seen` says.
        """
        if not await self._documents.update(self._as_read(seen), {"$set": {"version": seen.version}}):  # waits, changes nothing
            raise VersionConflict(seen.id)

    async def save_all(self, changes: Sequence[tuple[A, A]]) -> bool:
        """Replace each first by its second as `save` does, in one write; False when some were no longer as the first says."""
        each = [(self._as_read(before), self._change(before, after)) for before, after in changes]
        return await self._documents.update_each(each) == len(each)

    def _as_read(self, before: A) -> dict[str, Any]:
        """Return what matches the document while it is as `before` says."""
        return owned_by(before.tenant) | {"_id": before.id, "version": before.version}

    def _change(self, before: A, after: A) -> dict[str, Any]:
        return {"$set": {name: to_builtins(value) for name, value in _differences(self._fields, before, after)}}

    async def next_claimable(self, lane: Lane, after_project: str, skip: int = 0) -> A | None:
        """Return a job of the lane that may be claimed, of the first project after `after_project` that has one (round robin).

        Of the project's it is the one of the highest priority, the oldest among equals; the one `skip` places behind it
        where so many wait.
        """
        due = {"job.lane": lane.value, "job.available_at": {"$lte": now(), "$type": "date"}}
        order = (("project_id", ASCENDING), ("job.priority", DESCENDING), ("job.available_at", ASCENDING))
        sides = [{"project_id": {side: after_project}, **due} for side in ("$gt", "$lte")]
        found = await self._documents.find_first(sides, order, skip)
        return await self.next_claimable(lane, after_project) if found is None and skip else found

    async def running_of(self, project_id: str, lane: Lane, limit: int) -> int:
        """Return how many of the project's jobs in the lane are held, counted up to `limit`; by no lease that is over."""
        held = {"job.worker": {"$type": "string"}, "job.available_at": {"$gt": now()}}
        where = {"project_id": project_id, "job.lane": lane.value, **held}
        return await self._documents.count(where, limit)

    async def renew(self, aggregate: A, token: int, until: datetime) -> bool:
        """Keep the lease until `until`; return False when a newer claim has taken the job over or it has ended."""
        held = {"_id": aggregate.id, "job.token": token, "job.status": JobStatus.RUNNING.value}
        return await self._documents.update(owned_by(aggregate.tenant) | held, {"$set": {"job.available_at": until}})

    async def queue_state(self, lane: Lane = Lane.HERE) -> tuple[int, float]:
        """Return how many jobs of the lane wait to be claimed, and for how many seconds the oldest has."""
        return await queue_state(self._documents, "job.available_at", {"job.lane": lane.value})

    async def unpublished(self, older_than: datetime, limit: int) -> list[Unpublished]:
        """Return the outboxes whose oldest event was made before `older_than`.

        Those that begin with an event of a type this release does not know wait for one that does. Those that begin with
        another that cannot be read are passed over, for a minute; if all found are, the next are read.
        The index is walked from the oldest event on. To ask for that order would make MongoDB read and sort the whole
        backlog at each look, for an index into arrays gives no order by itself.
        """
        waiting = {"outbox.occurred_at": {"$lte": older_than}, "outbox.0.type": {"$in": list(TOPICS)}}
        while True:
            found = await self._documents.project(but_for(self._unreadable.ids(), waiting), ["outbox"], None, limit)
            outboxes = [Unpublished(document["_id"], first_readable(document["outbox"], self.name)) for document in found]
            for outbox in outboxes:
                if not outbox.events:
                    self._unreadable.add(outbox.aggregate_id)
            readable = [outbox for outbox in outboxes if outbox.events]
            if readable or not found:
                return readable

    async def left_behind(self, aggregate: A) -> tuple[Event, ...]:
        """Return the events that the aggregate's outbox holds, oldest first."""
        where = owned_by(aggregate.tenant) | {"_id": aggregate.id}
        found = await self._documents.project(where, ["outbox"], None, 1)
        return first_readable(found[0]["outbox"], self.name) if found else ()

    async def remove_published(self, published: Mapping[str, Iterable[str]]) -> None:
        """Take the events (ids by aggregate id) out of their outboxes; those already gone are no error.

        The journal is not awaited: what a crash of the server puts back is published again, under the same ids.
        """
        if published:
            event_ids = [event_id for of_one in published.values() for event_id in of_one]  # each is of one aggregate only
            change = {"$pull": {"outbox": {"event_id": {"$in": event_ids}}}}
            await self._documents.update_many({"_id": {"$in": list(published)}}, change, hasty=True)


def _differences(fields: Sequence[str], before: object, after: object) -> list[tuple[str, object]]:
    return [(name, getattr(after, name)) for name in fields if getattr(after, name) != getattr(before, name)]
