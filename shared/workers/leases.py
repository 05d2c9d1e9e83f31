"""Jobs inside aggregates as a leased queue, and the fenced write by which alone a claim's result is stored."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from shared.domain.clock import now
from shared.domain.job import Failure, Job, JobStatus, Lane
from shared.domain.tenant import Tenant
from shared.domain.trace import traced
from shared.domain.transition import VersionConflict
from shared.events.event import Event
from shared.workers.lease_queue import LeaseLost
from shared.workers.rivals import Rivals

A = TypeVar("A", bound=Any)
Change = Callable[[A], tuple[A, Sequence[Event]]]
"""From an aggregate as it stands to the aggregate as it shall be, with the events that tell of it."""

LimitOf = Callable[[Tenant], Awaitable[int]]
"""How many jobs of a project may run at once; 0 is any number."""

_CONFLICT_TRIES = 20


async def unlimited(_tenant: Tenant) -> int:
    """Let any number of a project's jobs run."""
    return 0


class LeasableStore(Protocol[A]):
    """A collection of aggregates with jobs inside."""

    @property
    def name(self) -> str:
        """The collection's name, by which the relay knows its outboxes."""

    async def get(self, tenant: Tenant, aggregate_id: str) -> A | None:
        """Return the aggregate, unless deleted."""

    async def save(self, before: A, after: A, *events: Event) -> A:
        """Replace `before` by `after` and queue `events`, in one write; raises `VersionConflict`."""

    async def next_claimable(self, lane: Lane, after_project: str, skip: int = 0) -> A | None:
        """Return the next job of the lane that may be claimed, round robin over projects, or one `skip` places behind it."""

    async def running_of(self, project_id: str, lane: Lane, limit: int) -> int:
        """Return how many of the project's jobs are claimed, up to `limit`."""

    async def renew(self, aggregate: A, token: int, until: datetime) -> bool:
        """Keep a lease."""

    async def left_behind(self, aggregate: A) -> Sequence[Event]:
        """Return the events that the aggregate's outbox holds, oldest first."""


class Announcer(Protocol):
    """What publishes queued events soon."""

    def nudge(self, outbox: str, aggregate_id: str, events: Sequence[Event]) -> None:
        """Publish `events` in the background."""


class JobRules(Protocol[A]):
    """What claiming and failing a job mean to its aggregate."""

    def claimed(self, aggregate: A, job: Job) -> tuple[A, Sequence[Event]]:
        """Return the aggregate with its job claimed."""

    def failed(self, aggregate: A, failure: Failure) -> tuple[A, Sequence[Event]]:
        """Return the aggregate with its job failed."""


class Leases(Generic[A]):
    """The jobs of one collection; only the newest claim may change its aggregate. A `LeaseQueue`."""

    def __init__(
        self,
        store: LeasableStore[A],
        announcer: Announcer,
        rules: JobRules[A],
        *,
        lane: Lane = Lane.HERE,
        limit_of: LimitOf = unlimited,
    ) -> None:
        self._store, self._announcer, self._rules = store, announcer, rules
        self._lane, self._limit_of = lane, limit_of
        self._last_project = ""
        self._rivals = Rivals()

    async def claim(self, worker: str, lease_s: float) -> A | None:
        """Claim the next job of the lane, round robin over the projects, or return None when there is none.

        A project that has as many jobs running as it may is passed over. Workers that look at the same moment may exceed its
        limit by one each. One that another was faster to claim is left to it: for a moment, looks go a random few places past
        the head, where all others look, the further the more often that happened. What the last holder of a job may have died
        before it could tell is told first.
        """
        full: set[str] = set()
        while (found := await self._next(0 if full else self._rivals.places())) is not None:
            if found.project_id in full:
                return None  # once around
            self._last_project = found.project_id
            if await self._is_full(found.tenant):
                full.add(found.project_id)
                continue
            untold = await self._store.left_behind(found) if found.job.status is JobStatus.RUNNING else ()
            with traced(found.job.trace_id):
                after, events = self._rules.claimed(found, found.job.claimed(worker, now(), lease_s))
            try:
                await self._store.save(found, after, *events)
            except VersionConflict:
                self._rivals.lost()
                continue
            self._rivals.won()
            self._announcer.nudge(self._store.name, after.id, [*untold, *events])
            return after
        return None

    async def _next(self, skip: int) -> A | None:
        return await self._store.next_claimable(self._lane, self._last_project, skip)

    async def _is_full(self, tenant: Tenant) -> bool:
        limit = await self._limit_of(tenant)
        return limit > 0 and await self._store.running_of(tenant.project_id, self._lane, limit) >= limit

    async def renew(self, claimed: A, until: datetime) -> bool:
        """Keep the lease until `until`; False when it is lost."""
        return await self._store.renew(claimed, claimed.job.token, until)

    async def hand_back(self, claimed: A, after_s: float, *, counted: bool, died: bool = False) -> None:
        """Return the job to the queue, claimable `after_s` seconds from now; does nothing when the lease is lost."""

        def returned(present: A) -> tuple[A, Sequence[Event]]:
            return present.changed(job=present.job.handed_back(now(), after_s, counted=counted, died=died)), ()

        await self._unless_lost(claimed, returned)

    async def fail(self, claimed: A, failure: Failure) -> None:
        """End the job as failed, and tell; does nothing when the lease is lost."""
        await self._unless_lost(claimed, lambda present: self._rules.failed(present, failure))

    async def finish(self, claimed: A, change: Change[A]) -> A:
        """Write the claim's result with its events, and have them published.

        Raises `LeaseLost` when a newer claim holds the job or the aggregate was deleted meanwhile.
        """
        present: A | None = claimed  # as a rule nobody has written since; if anybody has, the version refuses it
        for _ in range(_CONFLICT_TRIES):
            if present is None or not _still_held(present.job, claimed.job):
                break
            after, events = change(present)
            try:
                await self._store.save(present, after, *events)
            except VersionConflict:
                present = await self._store.get(claimed.tenant, claimed.id)
                continue
            self._announcer.nudge(self._store.name, after.id, events)
            return after
        raise LeaseLost(claimed.id)

    async def _unless_lost(self, claimed: A, change: Change[A]) -> None:
        try:
            await self.finish(claimed, change)
        except LeaseLost:
            return


def _still_held(present: Job | None, claimed: Job) -> bool:
    return present is not None and present.token == claimed.token and present.status is JobStatus.RUNNING
