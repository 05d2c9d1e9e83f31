"""Erasing deleted recordings, on a real MongoDB and a real object store: nothing is left, whatever comes in between."""

import asyncio
from datetime import timedelta

import httpx
import msgspec
import pytest

from services.stitcher.erase import ErasePolicy, EraseRecordings, Remains
from shared.domain.clock import now
from shared.domain.delivery import Attempt, Delivery, DeliveryStatus
from shared.domain.ids import new_id
from shared.domain.job import Job, JobKind, JobStatus
from shared.domain.object_keys import recording_prefix
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.stored_object import ObjectStoreUnavailable
from shared.domain.tenant import Mode
from shared.domain.transcript import Transcript
from shared.domain.transcription import SpeechOptions, TranscriptionRequest, TranscriptionStatus, queued_transcription
from shared.events.recording import RecordingCreated, RecordingDeleted, recording_event
from shared.events.transcription import TranscriptionCompleted, transcription_event
from shared.storage.events import Events
from shared.storage.mongo import Mongo
from shared.storage.objects import ObjectStore
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.storage.transcripts import Transcripts
from shared.storage.webhook_deliveries import WebhookDeliveries
from shared.telemetry.logs import captured_lines
from tests.fakes.kept_events import kept_events

QUICK = ErasePolicy(retry_s=0.05, pause_s=0.05, poll_s=0.05)
TEXT = Transcript(text="what was said", language="en", duration_ms=1, segments=(), confidence=None, word_count=3)


class Scene:
    def __init__(self, mongo, store):
        self.mongo, self.store = mongo, store
        self.recordings, self.transcriptions, self.transcripts = Recordings(mongo), Transcriptions(mongo), Transcripts(mongo)
        self.events, self.deliveries = Events(mongo), WebhookDeliveries(mongo)
        self.remains = Remains(
            objects=store,
            recordings=self.recordings,
            transcriptions=self.transcriptions,
            texts=(self.transcripts, self.events, self.deliveries),
        )
        self.eraser = EraseRecordings(self.remains, QUICK)

    async def recording(self, **fields):
        """A recording with two objects, a finished and a running transcription, events and deliveries."""
        at = now()
        own = {"id": new_id("rec"), "project_id": new_id("proj"), "mode": Mode.LIVE, "created_at": at, "updated_at": at}
        job = Job(id=new_id("job"), kind=JobKind.STITCH, queued_at=at, available_at=at)
        given = {"status": RecordingStatus.UPLOADED, "name": "A talk", "metadata": {"patient": "Ada"}, "job": job} | fields
        recording = await self.recordings.add(Recording(**own, **given))
        for name in ("chunks/000001.X", "med_1/audio.ogg"):
            await self.put(recording, name)
        wanted = TranscriptionRequest(options=SpeechOptions(prompt="Ada's visit", vocabulary=("Lovelace",)))
        done = queued_transcription(new_id("txn"), recording, wanted)
        done = msgspec.structs.replace(done, status=TranscriptionStatus.COMPLETED, active=False, job=done.job.stopped())
        running = queued_transcription(new_id("txn"), recording, wanted)
        running = msgspec.structs.replace(running, job=running.job.claimed("w", at, 60))
        for transcription in (done, running):
            await self.transcriptions.add(transcription)
            await self.transcripts.put(transcription, TEXT)
        told = [recording_event(RecordingCreated, recording), transcription_event(TranscriptionCompleted, done)]
        await self.events.keep(told)
        await self.deliveries.add_new([self.delivery(event) for event in told])
        return recording

    def delivery(self, event):
        at = now()
        return Delivery(
            id=new_id("whd"),
            event_id=event.event_id,
            event_type=event.type,
            endpoint_id="we_1",
            project_id=event.project_id,
            mode=event.mode,
            recording_id=event.recording_id,
            occurred_at=at,
            body=b"what was said",
            next_attempt_at=at,
            attempts=(Attempt(number=1, at=at, duration_ms=1, status_code=500, response="what was said"),),
            created_at=at,
            updated_at=at,
        )

    async def put(self, recording, name, body=b"audio"):
        await self.store.put(recording_prefix(recording.project_id, recording.id) + name, body, len(body), "audio/ogg")

    async def delete(self, recording, urls_live_s=3600.0, *, publish=True):
        after = recording.deleted(urls_end=now() + timedelta(seconds=urls_live_s))
        event = recording_event(RecordingDeleted, after)
        await self.recordings.save(recording, after, event)
        if publish:
            await self.published(event)
        return after

    async def published(self, event):
        await self.events.keep([event])
        await self.recordings.remove_published({event.recording_id: [event.event_id]})

    async def objects(self, recording):
        return await self.store.list(recording_prefix(recording.project_id, recording.id))

    async def rows(self, recording, collection):
        key = "_id" if collection == "recordings" else "recording_id"
        return [row async for row in self.mongo.database[collection].find({key: recording.id})]

    async def swept(self, fact, within_s=60.0):
        """Sweep until `fact` holds."""
        async with asyncio.timeout(within_s):
            while not await fact():
                await self.eraser.sweep()
                await asyncio.sleep(0.02)


@pytest.fixture
async def scene(mongo_settings, object_store_settings):
    mongo, store = Mongo(mongo_settings), ObjectStore(object_store_settings)
    await store.start()
    scene = Scene(mongo, store)
    indexed = (scene.recordings, scene.transcriptions, scene.transcripts, scene.events, scene.deliveries)
    await asyncio.gather(*(repository.ensure_indexes() for repository in indexed))
    yield scene
    await store.stop()
    mongo.close()


async def test_a_recording_that_cannot_be_read_keeps_no_other_from_being_erased(scene):
    """As one is that a newer release has left in a status of its own."""
    unreadable, recording = await scene.recording(), await scene.recording()
    for one in (unreadable, recording):
        await scene.delete(one)
    of_another_release = {"$set": {"status": "thawed"}}
    await scene.mongo.database["recordings"].update_one({"_id": unreadable.id}, of_another_release)
    with captured_lines() as lines:
        assert [await scene.eraser.sweep() for _ in range(3)] == [1, 0, 0]
    assert (await scene.objects(recording), await scene.rows(recording, "transcripts")) == ([], [])
    (named,) = [line for line in lines if line["event"] == "document.unreadable"]
    assert (named["id"], named["of"]) == (unreadable.id, "recordings")


async def test_unreadable_ones_do_not_fill_the_batch(scene):
    unreadable, recording = await scene.recording(), await scene.recording()
    for one in (unreadable, recording):
        await scene.delete(one)
    await scene.mongo.database["recordings"].update_one({"_id": unreadable.id}, {"$set": {"status": "thawed"}})
    assert [one.id for one in await scene.recordings.to_erase(1)] == [recording.id]


async def test_what_was_said_of_it_to_get_it_transcribed_goes_too(scene):
    recording = await scene.recording()
    await scene.delete(recording)
    assert await scene.eraser.sweep() == 1
    kept = await scene.rows(recording, "transcriptions")
    assert len(kept) == 2
    assert not [word for word in ("Ada", "Lovelace") if word in str(kept)]


async def test_one_sweep_takes_everything_that_people_said_or_wrote(scene):
    recording = await scene.recording()
    await scene.delete(recording)
    await scene.eraser.sweep()
    assert await scene.objects(recording) == []
    assert await scene.rows(recording, "transcripts") == []
    everything = [
        str(row) for name in await scene.mongo.database.list_collection_names() for row in await scene.rows(recording, name)
    ]
    assert everything
    assert not any(word in row for row in everything for word in ("A talk", "Ada", "what was said"))


async def test_deliveries_of_a_deleted_recording_are_cancelled_but_for_the_news_of_its_deletion(scene):
    recording = await scene.recording()
    await scene.delete(recording)
    kept = await kept_events(scene.events, recording.project_id, recording.id)
    (deleted,) = [event for event in kept if isinstance(event, RecordingDeleted)]
    await scene.deliveries.add_new([scene.delivery(deleted)])
    await scene.eraser.sweep()
    rows = {row["event_type"]: (row["status"], bool(row["body"])) for row in await scene.rows(recording, "webhook_deliveries")}
    gone = (DeliveryStatus.CANCELLED, False)
    assert rows == {
        "recording.created": gone,
        "transcription.completed": gone,
        "recording.deleted": (DeliveryStatus.PENDING, True),
    }


async def test_transcriptions_are_out_of_the_queue_and_their_leases_lost(scene):
    recording = await scene.recording()
    (running,) = [
        one for one in await scene.transcriptions.page(recording.tenant, {"recording_id": recording.id}, 10) if one.active
    ]
    assert await scene.transcriptions.renew(running, running.job.token, now() + timedelta(seconds=60))
    await scene.delete(recording)
    await scene.eraser.sweep()
    assert not await scene.transcriptions.renew(running, running.job.token, now() + timedelta(seconds=60))
    assert await scene.transcriptions.page(recording.tenant, {}, 10) == []


async def test_what_a_url_stores_after_the_deletion_is_swept_too_and_then_the_rows_go(scene):
    recording = await scene.recording()
    url = scene.store.presigned_put(recording_prefix(recording.project_id, recording.id) + "chunks/000002.Y", 60)
    await scene.delete(recording, urls_live_s=1.0)
    await scene.eraser.sweep()
    async with httpx.AsyncClient() as http:
        assert (await http.put(url, content=b"too late")).is_success
    assert len(await scene.objects(recording)) == 1

    async def removed():
        return not any([await scene.rows(recording, name) for name in ("recordings", "transcriptions", "transcripts")])

    await scene.swept(removed)
    assert await scene.objects(recording) == []
    assert await scene.recordings.to_erase(10) == []


async def test_no_row_goes_before_its_events_are_published(scene):
    recording = await scene.recording()
    deleted = await scene.delete(recording, urls_live_s=0.0, publish=False)
    for _ in range(3):
        await scene.eraser.sweep()
        await asyncio.sleep(0.06)
    (row,) = await scene.rows(recording, "recordings")
    assert [event["type"] for event in row["outbox"]] == ["recording.deleted"]
    await scene.published(recording_event(RecordingDeleted, deleted))

    async def removed():
        return not await scene.rows(recording, "recordings")

    await scene.swept(removed)


@pytest.mark.parametrize("broken", ["objects", "transcriptions", "texts"])
async def test_a_sweep_that_breaks_off_is_begun_anew(scene, broken):
    recording = await scene.recording()
    await scene.delete(recording)

    class Broken:
        async def _fail(self, *_args):
            raise ObjectStoreUnavailable("away")

        erase = delete_of = erase_texts = _fail

    half = msgspec.structs.replace(scene.remains, **{broken: (Broken(),) if broken == "texts" else Broken()})
    assert await EraseRecordings(half, QUICK).sweep() == 1
    assert await scene.objects(recording) != []

    async def erased():
        return not await scene.objects(recording)

    await scene.swept(erased)
    assert await scene.rows(recording, "transcripts") == []


async def test_two_erasers_at_once_do_no_harm(scene):
    recordings = [await scene.recording() for _ in range(4)]
    for recording in recordings:
        await scene.delete(recording, urls_live_s=0.0)
    other = EraseRecordings(scene.remains, QUICK)

    async def removed():
        await other.sweep()
        return not any([await scene.rows(recording, "recordings") for recording in recordings])

    await scene.swept(removed)
    assert not any([await scene.objects(recording) for recording in recordings])


async def test_the_marks_are_worked_off_without_being_told(scene):
    recording = await scene.recording()
    running = asyncio.create_task(scene.eraser.run())
    try:
        await scene.delete(recording)
        async with asyncio.timeout(10):
            while await scene.objects(recording):
                await asyncio.sleep(0.02)
    finally:
        running.cancel()


async def test_only_the_deleted_recording_is_erased(scene):
    kept, recording = await scene.recording(), await scene.recording()
    await scene.delete(recording)
    await scene.eraser.sweep()
    assert len(await scene.objects(kept)) == 2
    assert len(await scene.rows(kept, "transcripts")) == 2
    assert (await scene.recordings.get(kept.tenant, kept.id)).name == "A talk"
    assert (await scene.recordings.get(kept.tenant, kept.id)).job.status is JobStatus.QUEUED
