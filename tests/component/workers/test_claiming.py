"""Claims of several workers at the same moment: each job is claimed once, and a race that was lost is not run again at once."""

import asyncio
from itertools import chain

from services.stitcher.job_rules import RecordingJobRules
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.job import Job, JobKind
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.workers.leases import Leases
from tests.fakes.aggregates import FakeAggregates

WORKERS, JOBS = 6, 60


class Silence:
    def nudge(self, outbox, aggregate_id, events):
        """Publish nothing."""


class Simultaneous(FakeAggregates):
    """A store whose readers all read before any of them writes; it notes how far past the head each of them looked."""

    def __init__(self):
        super().__init__()
        self.looks = []

    async def next_claimable(self, lane, after_project, skip=0):
        self.looks.append(skip)
        found = await super().next_claimable(lane, after_project, skip)
        await asyncio.sleep(0)
        return found


def leases(store, limit=0):
    async def limit_of(_tenant):
        return limit

    return Leases(store, Silence(), RecordingJobRules(), limit_of=limit_of)


async def filled(projects=1, jobs=JOBS):
    store, at = Simultaneous(), now()
    for number in range(jobs):
        recording = Recording(
            id=new_id("rec"),
            project_id=f"proj_{number % projects}",
            mode=Mode.LIVE,
            status=RecordingStatus.UPLOADED,
            job=Job(id=new_id("job"), kind=JobKind.STITCH, queued_at=at, available_at=at),
            created_at=at,
            updated_at=at,
        )
        await store.add(recording)
    return store


async def claim_all(queue):
    claimed = []
    while (one := await queue.claim("worker", 60)) is not None:
        claimed.append(one.id)
    return claimed


async def test_workers_at_the_same_head_claim_each_job_once_and_spread_out():
    store = await filled()
    of_each = await asyncio.gather(*(claim_all(leases(store)) for _ in range(WORKERS)))
    assert sorted(chain.from_iterable(of_each)) == sorted(store.documents)
    assert {document.job.token for document in store.documents.values()} == {1}
    assert max(store.looks) > 0
    assert len(store.looks) < WORKERS * JOBS / 2  # with no jitter every one of them loses to each of the others, every time


async def test_a_worker_alone_never_looks_past_the_head():
    store = await filled(projects=3)
    assert len(await claim_all(leases(store))) == JOBS
    assert set(store.looks) == {0}


async def test_a_project_that_is_full_is_passed_over_by_workers_that_race():
    store = await filled(projects=2, jobs=20)
    of_each = await asyncio.gather(*(claim_all(leases(store, limit=3)) for _ in range(WORKERS)))
    projects = [store.documents[one].project_id for one in chain.from_iterable(of_each)]
    per_project = [projects.count(project) for project in ("proj_0", "proj_1")]
    assert all(3 <= count <= 3 + WORKERS for count in per_project)


async def test_a_job_whose_worker_was_killed_is_taken_over_in_a_project_at_its_limit():
    store = await filled(jobs=2)
    assert await leases(store, limit=1).claim("killed", 0.0) is not None
    taken_over = await leases(store, limit=1).claim("another", 60)
    assert taken_over is not None
    assert await leases(store, limit=1).claim("a third", 60) is None
