"""A job whose document this release does not know keeps no other from being claimed, and is not lost."""

from datetime import timedelta

import pytest

from services.transcriber.job_rules import TranscriptionJobRules
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcription import TranscriptionRequest, queued_transcription
from shared.events.transcription import TranscriptionQueued, transcription_event
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.telemetry.logs import captured_lines
from shared.workers.leases import Leases


class Silence:
    def nudge(self, outbox, aggregate_id, events):
        """Publish nothing."""


@pytest.fixture
async def queue(mongo):
    store = Transcriptions(mongo)
    await store.ensure_indexes()
    return Queue(mongo.database["transcriptions"], store)


class Queue:
    """Transcriptions that wait for a worker."""

    def __init__(self, collection, store):
        self.collection, self.store = collection, store
        self.leases = Leases(store, Silence(), TranscriptionJobRules())

    async def add(self, project_id="proj_1", **spoilt):
        """Queue one; with `spoilt` fields it is one of a newer release."""
        at = now()
        about = {"mode": Mode.LIVE, "status": RecordingStatus.UPLOADED, "created_at": at, "updated_at": at}
        recording = Recording(id=new_id("rec"), project_id=project_id, **about)
        waiting = queued_transcription(new_id("txn"), recording, TranscriptionRequest())
        await self.store.start(waiting, transcription_event(TranscriptionQueued, waiting))
        if spoilt:
            await self.collection.update_one({"_id": waiting.id}, {"$set": spoilt})
        return waiting.id

    async def claims(self):
        """Claim until there is nothing more to claim."""
        claimed = []
        while (one := await self.leases.claim("worker", 60)) is not None:
            claimed.append(one.id)
        return claimed


async def test_one_of_a_newer_release_is_passed_over_named_and_stays(queue):
    newer = await queue.add("proj_1", status="translating")
    behind_it, another = await queue.add("proj_1"), await queue.add("proj_2")
    with captured_lines() as lines:
        assert sorted(await queue.claims()) == sorted([behind_it, another])
    assert {(line["event"], line["of"], line["id"]) for line in lines} == {("document.unreadable", "transcriptions", newer)}
    assert (await queue.collection.find_one({"_id": newer}))["job"]["status"] == "queued"


async def test_however_many_there_are_they_keep_no_other_from_being_claimed(queue):
    for project in ("proj_1", "proj_2", "proj_3"):
        for _ in range(9):
            await queue.add(project, **{"job.kind": "translate"})
    readable = [await queue.add("proj_2"), await queue.add("proj_4")]
    assert sorted(await queue.claims()) == sorted(readable)


async def test_in_a_queue_of_nothing_else_there_is_nothing_to_claim(queue):
    await queue.add(status="translating")
    assert await queue.claims() == []


async def test_what_else_a_look_leaves_out_stays_left_out_behind_one_that_cannot_be_read(mongo):
    recordings = Recordings(mongo)
    made = []
    for number in range(3):
        at = now() - timedelta(minutes=9 - number)
        about = {"mode": Mode.LIVE, "status": RecordingStatus.UPLOADED, "created_at": at, "updated_at": at}
        made.append(await recordings.add(Recording(id=new_id("rec"), project_id="proj_1", transcription_due=True, **about)))
    left_out, newer, wanted = made
    await mongo.database["recordings"].update_one({"_id": newer.id}, {"$set": {"status": "dreamt_of"}})
    assert await recordings.due_for_transcription(now(), 1, [left_out.id]) == [wanted]
