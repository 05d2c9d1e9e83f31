"""The job runner over leases in memory: each job's result once, under its newest claim, and no job lost."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from services.stitcher.job_rules import RecordingJobRules
from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure, TransientFailure
from shared.domain.job import Failure, JobStatus, Lane
from shared.domain.recording import RecordingStatus
from shared.domain.trace import current_trace, traced
from shared.telemetry.logs import bound_fields, captured_lines
from shared.workers.failures import WorkerDied, WorkerTimedOut
from shared.workers.lease_queue import LeaseLost
from shared.workers.leases import Leases
from tests.fakes.counts import counted


async def test_a_queued_job_is_worked_once(scene):
    recording = await scene.queue()
    scene.run(scene.complete)
    await scene.until(lambda: scene.job(recording).status is JobStatus.COMPLETED)
    assert scene.worked == [recording.id]
    assert scene.job(recording).available_at is None


async def test_two_replicas_share_a_backlog_without_doubling_any(scene):
    recordings = [await scene.queue() for _ in range(40)]
    scene.run(scene.complete, "w1")
    scene.run(scene.complete, "w2")
    await scene.until(lambda: all(scene.job(one).status is JobStatus.COMPLETED for one in recordings))
    assert sorted(scene.worked) == sorted(one.id for one in recordings)


async def test_one_tenants_backlog_does_not_starve_another(scene):
    for _ in range(20):
        await scene.queue("big")
    small = await scene.queue("small")
    scene.run(scene.complete, slots=1)
    await scene.until(lambda: len(scene.worked) == 21)
    assert scene.worked.index(small.id) <= 2


async def test_a_long_job_keeps_its_lease(scene):
    recording = await scene.queue()

    async def long(claimed):
        await asyncio.sleep(2.5)  # two leases long
        await scene.complete(claimed)

    scene.run(long, lease_s=1.2)
    scene.run(long, "w2", lease_s=1.2)
    await scene.until(lambda: scene.job(recording).status is JobStatus.COMPLETED)
    assert scene.worked == [recording.id]
    assert scene.job(recording).token == 1


async def test_what_comes_after_the_result_needs_no_lease(scene):
    recording, tidied = await scene.queue(), []
    before = counted("leases_lost_total", queue="stitch")

    async def finish(claimed):
        await scene.complete(claimed)
        return claimed.id

    async def tidy(worked_id):
        await asyncio.sleep(1.0)  # of a lease of 0.4 s, which is renewed no more
        tidied.append(worked_id)

    with captured_lines() as lines:
        scene.run(finish, afterwards=tidy)
        await scene.until(lambda: tidied == [recording.id])
        await scene.until(lambda: any(line["event"] == "stitch.done" for line in lines))
    assert [line["outcome"] for line in lines if line["event"] == "stitch.done"] == ["ok"]
    assert counted("leases_lost_total", queue="stitch") == before


async def test_a_dead_workers_job_is_taken_over_and_its_late_result_refused(scene):
    recording = await scene.queue()
    dead = await scene.leases.claim("dead", 0.1)
    scene.run(scene.complete)
    await scene.until(lambda: scene.job(recording).status is JobStatus.COMPLETED)
    assert scene.job(recording).token == 2
    with pytest.raises(LeaseLost):
        await scene.complete(dead)


async def test_a_late_result_is_refused_while_the_newer_claim_is_at_work(scene):
    recording = await scene.queue()
    late = await scene.leases.claim("late", 0)
    newer = await scene.leases.claim("newer", 60)
    with pytest.raises(LeaseLost):
        await scene.complete(late)
    await scene.leases.hand_back(late, 0, counted=True)
    await scene.leases.fail(late, Failure(reason=FailureReason.PROCESSING_ERROR, message="too late"))
    assert scene.store.documents[recording.id] == newer
    await scene.complete(newer)
    assert scene.job(recording).status is JobStatus.COMPLETED


async def test_a_result_is_refused_once_the_job_has_ended_otherwise(scene):
    recording = await scene.queue()
    claimed = await scene.leases.claim("worker", 60)
    ended = scene.store.documents[recording.id] = claimed.changed(job=claimed.job.ended(JobStatus.FAILED))
    with pytest.raises(LeaseLost):
        await scene.complete(claimed)
    assert scene.store.documents[recording.id] == ended


async def test_work_whose_lease_was_taken_over_is_stopped(scene):
    recording = await scene.queue()
    stopped = asyncio.Event()

    async def endless(claimed):
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    scene.run(endless)
    await scene.until(lambda: scene.job(recording).status is JobStatus.RUNNING)
    present = scene.store.documents[recording.id]
    scene.store.documents[recording.id] = present.changed(job=present.job.claimed("thief", now(), 60))
    await asyncio.wait_for(stopped.wait(), 3)


async def test_input_at_fault_fails_the_recording_with_its_reason(scene):
    recording = await scene.queue()

    async def refuse(claimed):
        raise PermanentFailure(FailureReason.CHUNK_NOT_AUDIO, "chunk 3 is not audio", chunk_number=3)

    scene.run(refuse)
    await scene.until(lambda: scene.store.documents[recording.id].status is RecordingStatus.FAILED)
    failure = scene.store.documents[recording.id].failure
    assert (failure.reason, failure.chunk_number) == (FailureReason.CHUNK_NOT_AUDIO, 3)
    assert [event.type for event in scene.store.outbox[recording.id]] == ["recording.failed"]


async def test_an_outage_costs_no_attempt(scene):
    recording = await scene.queue()

    async def out(claimed):
        raise TransientFailure("the store is away")

    scene.run(out)
    await scene.until(lambda: scene.job(recording).status is JobStatus.QUEUED and scene.job(recording).token == 1)
    assert scene.job(recording).attempts == 0
    assert scene.job(recording).available_at > now() - timedelta(seconds=1)


async def test_a_job_that_kills_its_worker_twice_is_given_up(scene):
    recording = await scene.queue()

    async def deadly(claimed):
        raise WorkerDied(-9)

    scene.run(deadly)
    await scene.until(lambda: scene.job(recording).attempts == 1 and scene.job(recording).status is JobStatus.QUEUED)
    present = scene.store.documents[recording.id]
    scene.store.documents[recording.id] = msgspec.structs.replace(
        present, job=msgspec.structs.replace(present.job, available_at=now())
    )
    await scene.until(lambda: scene.store.documents[recording.id].status is RecordingStatus.FAILED)
    assert scene.store.documents[recording.id].failure.reason is FailureReason.PROCESSING_ERROR
    assert scene.job(recording).attempts == 2


async def test_a_job_that_outlasts_its_time_limit_is_given_up_at_once(scene):
    recording = await scene.queue()

    async def endless(claimed):
        raise WorkerTimedOut(5)

    scene.run(endless)
    await scene.until(lambda: scene.store.documents[recording.id].status is RecordingStatus.FAILED)
    assert "time limit of 5 s" in scene.store.documents[recording.id].failure.message


async def test_a_job_that_takes_the_whole_service_with_it_is_given_up_in_the_end(scene):
    recording, begun = await scene.queue(), []

    async def work(claimed):
        begun.append(claimed.id)

    for _ in range(5):  # services that died without a word
        present = scene.store.documents[recording.id]
        vanished = present.job.claimed("gone", now() - timedelta(seconds=60), 1)
        scene.store.documents[recording.id] = msgspec.structs.replace(present, job=vanished)
    scene.run(work)
    await scene.until(lambda: scene.store.documents[recording.id].status is RecordingStatus.FAILED)
    assert begun == []


async def test_each_lane_has_workers_of_its_own(scene):
    here = await scene.queue()
    elsewhere = await scene.queue(lane=Lane.ELSEWHERE)
    assert (await scene.leases.claim("w", 9)).id == here.id
    assert await scene.leases.claim("w", 9) is None
    assert (await Leases(scene.store, scene.relay, RecordingJobRules(), lane=Lane.ELSEWHERE).claim("w", 9)).id == elsewhere.id


async def test_within_a_project_the_higher_priority_goes_first_and_no_project_waits_for_anothers(scene):
    low = [await scene.queue("p1", priority=-1) for _ in range(2)]
    normal, high, other = await scene.queue("p1"), await scene.queue("p1", priority=1), await scene.queue("p2")
    claimed = [(await scene.leases.claim("w", 9)).id for _ in range(5)]
    assert claimed == [high.id, other.id, normal.id, low[0].id, low[1].id]


async def test_a_project_runs_no_more_jobs_at_once_than_it_may_and_others_go_on(scene):
    async def limit_of(tenant):
        return {"p1": 2, "p2": 0}[tenant.project_id]

    leases = Leases(scene.store, scene.relay, RecordingJobRules(), limit_of=limit_of)
    for project in ("p1", "p1", "p1", "p2", "p2", "p2"):
        await scene.queue(project)
    claimed = [await leases.claim("w", 9) for _ in range(5)]
    assert sorted(item.project_id for item in claimed) == ["p1", "p1", "p2", "p2", "p2"]
    assert await leases.claim("w", 9) is None
    done = next(item for item in claimed if item.project_id == "p1")
    await leases.finish(done, lambda present: (present.changed(job=present.job.ended(JobStatus.COMPLETED)), ()))
    assert (await leases.claim("w", 9)).project_id == "p1"


async def test_stopping_hands_running_work_back_uncounted(scene):
    recording = await scene.queue()

    async def endless(claimed):
        await asyncio.Event().wait()

    runner = scene.run(endless)
    await scene.until(lambda: scene.job(recording).status is JobStatus.RUNNING)
    await runner.stop(0.05)
    assert (scene.job(recording).status, scene.job(recording).attempts) == (JobStatus.QUEUED, 0)


async def test_stopping_hands_back_what_a_claim_under_way_brings(scene, monkeypatch):
    recording = await scene.queue()
    claim, asked, answered = scene.leases.claim, asyncio.Event(), asyncio.Event()

    async def slow(*about):
        asked.set()
        await answered.wait()
        return await claim(*about)

    monkeypatch.setattr(scene.leases, "claim", slow)

    async def endless(claimed):
        await asyncio.Event().wait()

    runner = scene.run(endless)
    await asked.wait()
    stopping = asyncio.create_task(runner.stop(1.5))
    await asyncio.sleep(0)
    answered.set()
    await stopping
    await scene.runners[0][1]
    assert (scene.job(recording).status, scene.job(recording).attempts) == (JobStatus.QUEUED, 0)


async def test_stopping_lets_work_finish_within_the_grace_time(scene):
    recording = await scene.queue()

    async def brief(claimed):
        await asyncio.sleep(0.1)
        await scene.complete(claimed)

    runner = scene.run(brief)
    await scene.until(lambda: scene.job(recording).status is JobStatus.RUNNING)
    await runner.stop(5)
    assert scene.job(recording).status is JobStatus.COMPLETED


async def test_a_queue_that_does_not_answer_is_asked_again(scene):
    recording = await scene.queue()
    scene.store.down = True
    scene.run(scene.complete)
    await asyncio.sleep(0.1)
    scene.store.down = False
    await scene.until(lambda: scene.job(recording).status is JobStatus.COMPLETED)


async def test_a_job_that_succeeds_is_timed_and_its_slot_is_seen(scene):
    timed = counted("stage_seconds_count", stage="stitch")
    await scene.queue()
    finish = asyncio.Event()

    async def waiting(claimed):
        await finish.wait()
        await scene.complete(claimed)

    scene.run(waiting)
    assert (counted("jobs", queue="stitch", state="running"), counted("jobs", queue="stitch", state="free")) == (0, 2)
    await scene.until(lambda: counted("jobs", queue="stitch", state="running") == 1)
    assert counted("jobs", queue="stitch", state="free") == 1
    finish.set()
    await scene.until(lambda: counted("jobs", queue="stitch", state="running") == 0)
    assert counted("stage_seconds_count", stage="stitch") == timed + 1


async def test_a_lost_lease_is_counted_and_not_timed_and_no_error(scene):
    lost, timed = counted("leases_lost_total", queue="stitch"), counted("stage_seconds_count", stage="stitch")
    await scene.queue()

    async def overtaken(claimed):
        raise LeaseLost(claimed.id)

    with captured_lines() as lines:
        scene.run(overtaken)
        await scene.until(lambda: counted("leases_lost_total", queue="stitch") > lost)
        await scene.until(lambda: any(line["event"] == "stitch.done" for line in lines))
    assert counted("stage_seconds_count", stage="stitch") == timed
    (done,) = [line for line in lines if line["event"] == "stitch.done"]
    assert (done["level"], done["outcome"]) == ("info", "lost")
    assert "error" not in done


async def test_a_job_is_worked_in_the_trace_of_whoever_queued_it(scene):
    with traced("4bf92f3577b34da6a3ce929d0e0e4736"):
        recording = await scene.queue()
    seen = []

    async def refuse(claimed):
        seen.append((current_trace(), bound_fields()["recording_id"]))
        raise PermanentFailure(FailureReason.CHUNK_NOT_AUDIO, "chunk 3 is not audio")

    scene.run(refuse)
    await scene.until(lambda: scene.store.outbox[recording.id])
    assert seen == [("4bf92f3577b34da6a3ce929d0e0e4736", recording.id)]
    assert scene.store.outbox[recording.id][0].trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_the_work_on_a_deleted_recording_stops_within_seconds_however_long_its_lease(scene):
    recording = await scene.queue()
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def endless(_claimed):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    runner = scene.run(endless, lease_s=600.0, slots=1)
    await begun.wait()
    present = scene.store.documents[recording.id]
    await scene.store.save(present, present.deleted(urls_end=now()))
    async with asyncio.timeout(5):
        await stopped.wait()
    await scene.until(lambda: not runner._running)
    assert scene.job(recording).status is JobStatus.FAILED
