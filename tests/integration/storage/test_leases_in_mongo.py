"""Leases and queues in MongoDB: who saves something else never undoes a renewal, and a queue's depth is what may be claimed."""

from datetime import timedelta

import pytest

from services.stitcher.job_rules import RecordingJobRules
from services.stitcher.sweep_chunks import SweepChunks
from services.transcriber.decide import DecideTranscription
from services.transcriber.job_rules import TranscriptionJobRules
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.job import Job, JobKind, JobStatus, Lane
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcription import Priority, ProviderName, TranscriptionRequest, queued_transcription
from shared.domain.transition import VersionConflict
from shared.events.recording import recording_uploaded
from shared.events.transcription import TranscriptionQueued, transcription_event
from shared.storage.effective_configs import EffectiveConfigs
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.workers.leases import Leases


class NoObjects:
    async def list(self, prefix):
        return []

    async def delete(self, keys):
        """Delete nothing."""


class Silence:
    def nudge(self, outbox, aggregate_id, events):
        """Publish nothing."""


class Told(list):
    def nudge(self, outbox, aggregate_id, events):
        self.append((outbox, aggregate_id, [event.type for event in events]))


class RenewedMeanwhile(Recordings):
    """Recordings whose running job's lease is renewed between each read and whatever is saved after it."""

    until = now() + timedelta(minutes=7)

    async def save(self, before, after, *events):
        assert await self.renew(before, before.job.token, self.until)
        return await super().save(before, after, *events)

    async def save_all(self, changes):
        for before, _ in changes:
            assert await self.renew(before, before.job.token, self.until)
        return await super().save_all(changes)


def a_recording(**fields):
    at = now()
    job = Job(id=new_id("job"), kind=JobKind.STITCH, queued_at=at, available_at=at)
    defaults = {"id": new_id("rec"), "project_id": "proj_1", "mode": Mode.LIVE, "status": RecordingStatus.UPLOADED, "job": job}
    return Recording(**(defaults | {"created_at": at, "updated_at": at} | fields))


async def rename(store, recording):
    await store.save(recording, recording.changed(name="renamed"))


async def tell(store, recording):
    after = recording.changed(duration_ms=5)
    await store.save(recording, after, recording_uploaded(after, 1))


async def reflect(store, recording):
    transcription = queued_transcription(new_id("txn"), recording, TranscriptionRequest())
    await store.reflect(transcription_event(TranscriptionQueued, transcription))


async def sweep(store, recording):
    await SweepChunks(NoObjects(), store)(recording)


async def decide(store, recording):
    mongo = store.mongo
    await DecideTranscription(store, Transcriptions(mongo), EffectiveConfigs(mongo), Silence())(recording.tenant, recording.id)


@pytest.mark.parametrize("change", [rename, tell, reflect, sweep, decide])
async def test_a_renewal_between_read_and_save_survives_whatever_else_is_saved(mongo, change):
    store = RenewedMeanwhile(mongo)
    store.mongo = mongo
    job = a_recording().job.claimed("worker", now(), 10)
    recording = await store.add(a_recording(job=job, sweep_at=now(), transcription_due=True))
    await change(store, recording)
    stored = await store.get(recording.tenant, recording.id)
    assert stored.version > recording.version
    assert (stored.job.available_at, stored.job.token, stored.job.status) == (store.until, 1, JobStatus.RUNNING)


async def test_a_save_from_before_a_claim_is_refused_and_the_claim_stands(mongo):
    store = Recordings(mongo)
    before = await store.add(a_recording())
    claimed = await Leases(store, Silence(), RecordingJobRules()).claim("worker", 60)
    with pytest.raises(VersionConflict):
        await store.save(before, before.changed(job=before.job.ended(JobStatus.FAILED)))
    assert await store.get(before.tenant, before.id) == claimed


async def test_what_the_last_holder_of_a_job_did_not_live_to_tell_is_told_by_the_next_before_its_own(mongo):
    store, told = Transcriptions(mongo), Told()
    waiting = queued_transcription(new_id("txn"), a_recording(), TranscriptionRequest())
    await store.start(waiting, transcription_event(TranscriptionQueued, waiting))
    await store.remove_published({waiting.id: [event.event_id for event in await store.left_behind(waiting)]})
    claimed = await Leases(store, Silence(), TranscriptionJobRules()).claim("one that dies", 0)
    leases = Leases(store, told, TranscriptionJobRules())
    taken_over = await leases.claim("another", 60)
    assert (taken_over.id, taken_over.job.token) == (waiting.id, claimed.job.token + 1)
    assert told == [("transcriptions", waiting.id, ["transcription.started"])]
    await leases.hand_back(taken_over, 0, counted=True)
    await leases.claim("another", 60)
    assert told[1:] == [("transcriptions", waiting.id, [])] * 2  # one that handed its job back lives, and tells it itself


async def test_a_queue_counts_what_may_be_claimed_and_nothing_else(mongo):
    store = Recordings(mongo)
    job, moment = a_recording().job, now()
    assert await store.queue_state() == (0, 0.0)
    waiting = [
        job.handed_back(moment - timedelta(seconds=90), 0, counted=True),  # queued
        job.claimed("dead", moment - timedelta(seconds=60), 10),  # its lease is over
    ]
    others = [
        job.claimed("alive", moment, 60),
        job.handed_back(moment, 60, counted=True),  # a pause after a failure
        job.claimed("one", moment, 60).ended(JobStatus.COMPLETED),
        job.ended(JobStatus.FAILED),
        None,
    ]
    for one in (*others, *waiting):
        await store.add(a_recording(job=one))
    depth, oldest_s = await store.queue_state()
    assert depth == len(waiting)
    assert 90 <= oldest_s < 120
    leases = Leases(store, Silence(), RecordingJobRules())
    while await leases.claim("worker", 60) is not None:
        depth -= 1
        assert (await store.queue_state())[0] == depth
    assert depth == 0


async def test_a_dead_workers_job_does_not_fill_its_project(mongo):
    async def one(_tenant):
        return 1

    store = Transcriptions(mongo)
    waiting = queued_transcription(new_id("txn"), a_recording(), TranscriptionRequest())
    await store.start(waiting, transcription_event(TranscriptionQueued, waiting))
    leases = Leases(store, Silence(), TranscriptionJobRules(), limit_of=one)
    assert (await leases.claim("killed", 0)).id == waiting.id
    assert (await leases.claim("another", 60)).id == waiting.id
    assert await store.running_of(waiting.project_id, waiting.job.lane, 5) == 1


async def test_who_waits_for_a_provider_stands_before_nobody_in_the_queue(mongo):
    store = Transcriptions(mongo)
    urgent = TranscriptionRequest(provider=ProviderName.DEEPGRAM, priority=Priority.HIGH)
    waiting = queued_transcription(new_id("txn"), a_recording(), TranscriptionRequest(provider=ProviderName.DEEPGRAM))
    ordered = queued_transcription(new_id("txn"), a_recording(), urgent)
    for one in (waiting, ordered):
        await store.start(one, transcription_event(TranscriptionQueued, one))
    assert await store.ahead_of(waiting, 10) == 1
    leases = Leases(store, Silence(), TranscriptionJobRules(), lane=Lane.ELSEWHERE)
    claimed = await leases.claim("worker", 60)
    await leases.hand_back(claimed, 1800, counted=False)  # until the answer comes to the callback
    assert (claimed.id, await store.ahead_of(waiting, 10)) == (ordered.id, 0)
    assert (await leases.claim("worker", 60)).id == waiting.id
