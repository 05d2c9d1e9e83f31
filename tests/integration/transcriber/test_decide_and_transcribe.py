"""The transcriber's verbs on a real MongoDB; speech itself is the matter of other tests, so a provider here just answers."""

import asyncio
import itertools
import threading
from datetime import timedelta

import msgspec
import pytest
from pymongo.collection import Collection

from services.transcriber.decide import DecideTranscription
from services.transcriber.job_rules import TranscriptionJobRules
from services.transcriber.ports import Progress
from services.transcriber.show_progress import ShowProgress
from services.transcriber.store_result import StoreResult
from services.transcriber.transcribe import TranscribeRecording
from shared.domain.clock import now
from shared.domain.config.levels import lineage
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.ids import new_id
from shared.domain.job import Failure, Job, JobKind, JobStatus
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.stored_object import ObjectChanged
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcript import Segment, Transcript
from shared.domain.transcription import TranscriptionRequest, TranscriptionStatus, queued_transcription
from shared.messaging.relay import Relay
from shared.storage.config_overrides import ConfigOverrides
from shared.storage.effective_configs import EffectiveConfigs
from shared.storage.events import Events
from shared.storage.mongo import Mongo
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.storage.transcripts import Transcripts
from shared.workers.lease_queue import LeaseLost
from shared.workers.leases import Leases
from tests.fakes.configs import say
from tests.fakes.counts import counted

SPOKEN = Transcript(text="hello there", language="en", duration_ms=1200, segments=(), confidence=0.9, word_count=2)


class Parrot:
    name = "whisper"

    def __init__(self):
        self.requests = []

    async def transcribe(self, request, on_progress):
        self.requests.append(request)
        return SPOKEN


class EmptyFiles:
    def __init__(self):
        self.stored_etag, self.asked = "as uploaded", []

    async def download(self, key, path, *, etag=None):
        self.asked.append(etag)
        if etag not in (None, self.stored_etag):
            raise ObjectChanged(key)
        path.write_bytes(b"")


class Heard:
    """A publisher that only remembers."""

    def __init__(self):
        self.types = []

    async def publish(self, events):
        self.types += [event.type for event in events]


class Scene:
    def __init__(self, mongo, spool):
        self.recordings, self.transcriptions = Recordings(mongo), Transcriptions(mongo)
        self.transcripts, self.configs, self.heard = Transcripts(mongo), ConfigOverrides(mongo), Heard()
        self.events = Events(mongo)
        self.relay = Relay((self.recordings, self.transcriptions), self.events, self.heard, self.recordings)
        self.decide = DecideTranscription(self.recordings, self.transcriptions, EffectiveConfigs(mongo), self.relay)
        self.leases = Leases(self.transcriptions, self.relay, TranscriptionJobRules())
        self.parrot, self.files = Parrot(), EmptyFiles()
        self.transcribe = TranscribeRecording(
            recordings=self.recordings,
            store=self.files,
            results=StoreResult(self.transcripts, self.leases, {}),
            progress=ShowProgress(self.transcriptions, self.transcripts),
            providers=(self.parrot,),
            spool=spool,
        )

    async def stitched(self, *, streaming: bool, etag: str | None = "as uploaded", **owners: str) -> Recording:
        at = now()
        media = Media(
            id=new_id("med"),
            type=MediaType.AUDIO,
            content_type="audio/ogg",
            object_key="k",
            etag=etag,
            status=MediaStatus.UPLOADED,
            created_at=at,
        )
        job = Job(id=new_id("job"), kind=JobKind.STITCH, status=JobStatus.COMPLETED, queued_at=at, available_at=None)
        return await self.recordings.add(
            Recording(
                id=new_id("rec"),
                project_id=new_id("proj"),
                mode=Mode.LIVE,
                status=RecordingStatus.UPLOADED,
                streaming=streaming,
                **owners,
                media=(media,),
                job=job,
                transcription_due=True,
                uploaded_at=at,
                created_at=at,
                updated_at=at,
            )
        )

    async def newest(self, recording):
        return await self.transcriptions.newest_of(recording.tenant, recording.id)

    async def settle(self):
        await self.relay.sweep(now() + timedelta(seconds=1))
        await self.relay.drain(1)


@pytest.fixture
async def scene(mongo_settings, tmp_path):
    mongo = Mongo(mongo_settings)
    scene = Scene(mongo, tmp_path)
    for collection in (scene.recordings, scene.transcriptions, scene.events):
        await collection.ensure_indexes()
    yield scene
    mongo.close()


async def test_a_streaming_recording_is_transcribed_without_being_asked(scene):
    recording = await scene.stitched(streaming=True)
    await scene.decide(recording.tenant, recording.id)
    transcription = await scene.newest(recording)
    assert transcription.status is TranscriptionStatus.PENDING
    assert not (await scene.recordings.get(recording.tenant, recording.id)).transcription_due


async def test_a_whole_file_is_transcribed_only_where_the_config_says_so(scene):
    silent, spoken = await scene.stitched(streaming=False), await scene.stitched(streaming=False)
    wanted = {"auto_transcription": {"enabled": True, "language": "de"}}
    await say(scene.configs, lineage(None, spoken.tenant)[-1], "processing", wanted)
    for recording in (silent, spoken):
        await scene.decide(recording.tenant, recording.id)
    assert await scene.newest(silent) is None
    assert (await scene.newest(spoken)).requested_language == "de"


@pytest.mark.parametrize("owners", [{}, {"end_user_id": "eu_1"}, {"end_user_id": "eu_1", "device_id": "dev_1"}])
async def test_the_configuration_of_the_recordings_own_end_user_and_device_counts(scene, owners):
    recording = await scene.stitched(streaming=False, **owners)
    everyone = lineage(None, recording.tenant, end_user_id="eu_1", device_id="dev_1")
    for subject, language in zip(everyone, ("en", "de", "fr"), strict=True):
        await say(scene.configs, subject, "processing", {"auto_transcription": {"enabled": True, "language": language}})
    await scene.decide(recording.tenant, recording.id)
    assert (await scene.newest(recording)).requested_language == ("en", "de", "fr")[len(owners)]


async def test_a_language_that_another_level_meant_for_another_provider_is_left_to_detection(scene):
    recording = await scene.stitched(streaming=True, end_user_id="eu_1")
    project, user = lineage(None, recording.tenant, end_user_id="eu_1")
    await say(scene.configs, project, "processing", {"auto_transcription": {"provider": "elevenlabs", "language": "deu"}})
    await say(scene.configs, user, "processing", {"auto_transcription": {"provider": "whisper"}})
    await scene.decide(recording.tenant, recording.id)
    assert (await scene.newest(recording)).requested_language is None


async def test_deciding_again_makes_no_second_transcription(scene):
    recording = await scene.stitched(streaming=True)
    await scene.decide(recording.tenant, recording.id)
    first = await scene.newest(recording)
    undecided = await scene.recordings.get(recording.tenant, recording.id)
    await scene.recordings.save(undecided, undecided.changed(transcription_due=True))  # as if the crash came in between
    await scene.decide(recording.tenant, recording.id)
    assert (await scene.newest(recording)).id == first.id


async def test_what_no_event_told_of_is_decided_by_the_reconciler(scene):
    recording = await scene.stitched(streaming=True)
    assert await scene.decide.left_behind(60) == 0
    assert await scene.decide.left_behind(0) == 1
    assert await scene.newest(recording) is not None


async def test_a_transcription_runs_through_its_statuses_and_the_recording_follows(scene):
    recording = await scene.stitched(streaming=True)
    await scene.decide(recording.tenant, recording.id)
    claimed = await scene.leases.claim("test", 60)
    await scene.settle()
    assert (await scene.recordings.get(recording.tenant, recording.id)).status is RecordingStatus.PROCESSING
    done = await scene.transcribe(claimed)
    await scene.settle()
    assert (done.status, done.word_count, done.language) == (TranscriptionStatus.COMPLETED, 2, "en")
    shown = await scene.recordings.get(recording.tenant, recording.id)
    assert (shown.status, shown.transcription_id) == (RecordingStatus.COMPLETED, done.id)
    assert await scene.transcripts.get(recording.tenant, done.id) == SPOKEN
    assert scene.heard.types == ["transcription.queued", "transcription.started", "transcription.completed"]
    assert await scene.transcripts.get(Tenant(new_id("proj")), done.id) is None


async def test_audio_that_was_replaced_after_it_was_stitched_is_not_transcribed(scene):
    recording = await scene.stitched(streaming=True)
    await scene.decide(recording.tenant, recording.id)
    claimed = await scene.leases.claim("test", 60)
    scene.files.stored_etag = "another's"
    with pytest.raises(PermanentFailure) as raised:
        await scene.transcribe(claimed)
    assert raised.value.reason is FailureReason.CONTENT_HASH_MISMATCH
    assert (scene.files.asked, scene.parrot.requests) == (["as uploaded"], [])


async def test_audio_stored_before_etags_were_noted_is_transcribed_as_it_is(scene):
    recording = await scene.stitched(streaming=True, etag=None)
    await scene.decide(recording.tenant, recording.id)
    done = await scene.transcribe(await scene.leases.claim("test", 60))
    assert (done.status, scene.files.asked) == (TranscriptionStatus.COMPLETED, [None])


async def test_the_result_of_a_claim_that_was_taken_over_is_not_stored(scene):
    recording = await scene.stitched(streaming=True)
    await scene.decide(recording.tenant, recording.id)
    slow = await scene.leases.claim("slow", 0)
    quick = await scene.leases.claim("quick", 60)
    assert quick.job.token == slow.job.token + 1
    done = await scene.transcribe(quick)
    with pytest.raises(LeaseLost):
        await scene.transcribe(slow)
    assert (await scene.newest(recording)).version == done.version


async def test_a_job_taken_over_says_started_once(scene):
    recording = await scene.stitched(streaming=True)
    await scene.decide(recording.tenant, recording.id)
    await scene.leases.claim("dead", 0)
    await scene.leases.claim("heir", 60)
    await scene.settle()
    assert scene.heard.types.count("transcription.started") == 1


async def test_a_failed_transcription_fails_its_recording_with_the_reason_and_frees_its_place(scene):
    recording = await scene.stitched(streaming=True)
    await scene.decide(recording.tenant, recording.id)
    claimed = await scene.leases.claim("test", 60)
    await scene.leases.fail(claimed, Failure(reason=FailureReason.AUDIO_TOO_SHORT, message="0.4 s"))
    await scene.settle()
    shown = await scene.recordings.get(recording.tenant, recording.id)
    assert (shown.status, shown.failure.reason) == (RecordingStatus.FAILED, FailureReason.AUDIO_TOO_SHORT)
    assert not (await scene.newest(recording)).active


async def test_a_provider_that_is_not_there_fails_the_job_not_the_service(scene):
    recording = await scene.stitched(streaming=True)
    await scene.decide(recording.tenant, recording.id)
    claimed = msgspec.structs.replace(await scene.leases.claim("test", 60), provider="deepgram")
    with pytest.raises(PermanentFailure) as raised:
        await scene.transcribe(claimed)
    assert raised.value.reason is FailureReason.PROVIDER_NOT_CONFIGURED


@pytest.mark.parametrize(("asked", "given"), [(None, None), ("en", "en"), ("en-US", "en"), ("pt_BR", "pt")])
async def test_whisper_is_given_the_base_language(scene, asked, given):
    recording = await scene.stitched(streaming=True)
    config = {"auto_transcription": {"enabled": True, "language": asked}}
    await say(scene.configs, lineage(None, recording.tenant)[-1], "processing", config)
    await scene.decide(recording.tenant, recording.id)
    await scene.transcribe(await scene.leases.claim("test", 60))
    assert scene.parrot.requests[0].language == given


async def test_only_an_automatic_transcription_is_timed_from_the_upload(scene):
    timed = counted("stage_seconds_count", stage="uploaded_to_transcribed")
    for automatic in (True, False):
        recording = await scene.stitched(streaming=True)
        if automatic:
            await scene.decide(recording.tenant, recording.id)
        else:
            await scene.transcriptions.add(queued_transcription(new_id("txn"), recording, TranscriptionRequest()))
        await scene.transcribe(await scene.leases.claim("test", 60))
        assert counted("stage_seconds_count", stage="uploaded_to_transcribed") == timed + 1


async def test_a_decision_that_nobody_lived_to_note_is_not_made_again_once_its_transcription_has_ended(scene, monkeypatch):
    recording = await scene.stitched(streaming=True)

    async def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(scene.recordings, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            await scene.decide(recording.tenant, recording.id)
    first = await scene.newest(recording)
    await scene.settle()
    await scene.transcribe(await scene.leases.claim("another", 60))
    await scene.settle()
    assert await scene.decide.left_behind(0) == 1
    newest = await scene.newest(recording)
    assert (newest.id, newest.status) == (first.id, TranscriptionStatus.COMPLETED)
    assert await scene.decide.left_behind(0) == 0


class Quick:
    name = "whisper"

    async def transcribe(self, request, on_progress):
        heard = Segment(start=0.0, end=1.0, text="hello", confidence=None, words=())
        on_progress(Progress(0.5, "transcribing", (heard,)))
        await asyncio.sleep(0.1)  # the write of what was heard is under way
        return SPOKEN


async def test_a_late_write_of_what_was_heard_so_far_never_takes_the_place_of_the_whole(scene, monkeypatch):
    clock = itertools.chain([0.0], itertools.repeat(100.0))
    scene.transcribe._progress = ShowProgress(scene.transcriptions, scene.transcripts, clock=lambda: next(clock))
    scene.transcribe._providers = {"whisper": Quick()}
    update, may_go_on, late = Collection._update_retryable, threading.Event(), []

    def held_up(self, *args, **options):
        if self.name != "transcripts" or late:
            return update(self, *args, **options)
        late.append("begun")
        may_go_on.wait(60)
        try:
            return update(self, *args, **options)
        finally:
            late.append("done")

    monkeypatch.setattr(Collection, "_update_retryable", held_up)
    recording = await scene.stitched(streaming=True)
    await scene.decide(recording.tenant, recording.id)
    done = await scene.transcribe(await scene.leases.claim("test", 60))
    assert (done.status, late) == (TranscriptionStatus.COMPLETED, ["begun"])
    may_go_on.set()
    async with asyncio.timeout(60):
        while late != ["begun", "done"]:
            await asyncio.sleep(0.01)
    assert (await scene.transcripts.get(recording.tenant, done.id)).text == SPOKEN.text
