"""Aggregates in memory: the same promises as `shared.storage.aggregates`, for component tests without MongoDB."""

import msgspec

from shared.domain.clock import now
from shared.domain.errors import AlreadyExists, TransientFailure
from shared.domain.job import JobStatus
from shared.domain.transition import VersionConflict
from shared.storage.aggregates import Unpublished


class FakeAggregates:
    """One collection; `down` makes every call fail as an outage does."""

    def __init__(self, name="recordings"):
        self.name = name
        self.documents = {}
        self.outbox = {}
        self.unseen = {}
        self.down = False

    async def get(self, tenant, aggregate_id):
        self._check()
        found = self.documents.get(aggregate_id)
        return found if found is not None and found.tenant == tenant and found.deleted_at is None else None

    async def add(self, aggregate, *events):
        self._check()
        if aggregate.id in self.documents:
            raise AlreadyExists(aggregate.id)
        self.documents[aggregate.id] = aggregate
        self.outbox.setdefault(aggregate.id, []).extend(events)
        return aggregate

    async def save(self, before, after, *events, **unseen):
        self._check()
        present = self._as_read(before)
        names = [name for name in after.__struct_fields__ if getattr(after, name) != getattr(before, name)]
        self.documents[after.id] = msgspec.structs.replace(present, **{name: getattr(after, name) for name in names})
        self.unseen.setdefault(after.id, {}).update(unseen)
        self.outbox.setdefault(after.id, []).extend(events)
        return after

    async def confirm(self, seen):
        self._check()
        self._as_read(seen)

    def _as_read(self, before):
        """Return the document as it is now; raises unless it is as `before` says."""
        present = self.documents.get(before.id)
        if present is None or present.version != before.version or not self._is_same(before, present):
            raise VersionConflict(before.id)
        return present

    def _is_same(self, before, present):
        return True

    async def next_claimable(self, lane, after_project, skip=0):
        self._check()
        jobs = [doc for doc in self.documents.values() if doc.job and doc.job.available_at and doc.job.lane is lane]
        due = [doc for doc in jobs if doc.job.available_at <= now()]
        due.sort(key=lambda doc: (doc.project_id <= after_project, doc.project_id, -doc.job.priority, doc.job.available_at))
        sides = ([doc for doc in due if doc.project_id > after_project], [doc for doc in due if doc.project_id <= after_project])
        return next((side[place] for place in (skip, 0) for side in sides if len(side) > place), None)

    async def running_of(self, project_id, lane, limit):
        self._check()
        jobs = [doc.job for doc in self.documents.values() if doc.job and doc.project_id == project_id]
        return min(limit, len([job for job in jobs if job.worker and job.lane is lane and job.available_at > now()]))

    async def renew(self, aggregate, token, until):
        self._check()
        present = self.documents.get(aggregate.id)
        if present is None or present.job.token != token or present.job.status is not JobStatus.RUNNING:
            return False
        self.documents[aggregate.id] = msgspec.structs.replace(
            present, job=msgspec.structs.replace(present.job, available_at=until)
        )
        return True

    async def unpublished(self, older_than, limit):
        self._check()
        waiting = [(key, tuple(events)) for key, events in self.outbox.items() if events and events[0].occurred_at <= older_than]
        return [Unpublished(key, events) for key, events in waiting[:limit]]

    async def left_behind(self, aggregate):
        self._check()
        return tuple(self.outbox.get(aggregate.id, ()))

    async def remove_published(self, published):
        self._check()
        for key, event_ids in published.items():
            self.outbox[key] = [event for event in self.outbox[key] if event.event_id not in set(event_ids)]

    def _check(self):
        if self.down:
            raise TransientFailure(f"{self.name} is down")
