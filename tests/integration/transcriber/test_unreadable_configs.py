"""A configuration that this release cannot read, as a newer one has written it, holds up its own project and no other."""

import pytest

from services.transcriber.concurrency import ProjectLimits
from services.transcriber.decide import DecideTranscription
from services.transcriber.failover import FailOver
from services.transcriber.job_rules import TranscriptionJobRules
from shared.domain.clock import now
from shared.domain.config.levels import lineage
from shared.domain.errors import FailureReason
from shared.domain.ids import new_id
from shared.domain.job import Job, JobKind, JobStatus
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcription import TranscriptionRequest, queued_transcription
from shared.events.transcription import TranscriptionQueued, transcription_event
from shared.storage.config_overrides import ConfigOverrides
from shared.storage.effective_configs import EffectiveConfigs
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.telemetry.logs import captured_lines
from shared.workers.leases import Leases
from tests.fakes.configs import say

OF_A_NEWER_RELEASE = {"auto_transcription": {"provider": "one of tomorrow"}}


class Silence:
    def nudge(self, outbox, aggregate_id, events):
        """Publish nothing."""


class Scene:
    def __init__(self, mongo):
        self.recordings, self.transcriptions = Recordings(mongo), Transcriptions(mongo)
        self.overrides, configs = ConfigOverrides(mongo), EffectiveConfigs(mongo)
        self.decide = DecideTranscription(self.recordings, self.transcriptions, configs, Silence())
        limits = ProjectLimits(configs)
        self.leases = Leases(self.transcriptions, Silence(), TranscriptionJobRules(), limit_of=limits)

    async def say(self, project_id, value):
        """Have a project say something, past every check, about how its recordings are processed."""
        project = lineage(None, Tenant(project_id, Mode.LIVE))[-1]
        await say(self.overrides, project, "processing", value)

    async def stitched(self, project_id):
        at = now()
        about = {"content_type": "audio/ogg", "object_key": "k", "status": MediaStatus.UPLOADED, "created_at": at}
        job = Job(id=new_id("job"), kind=JobKind.STITCH, status=JobStatus.COMPLETED, queued_at=at, available_at=None)
        recording = Recording(
            id=new_id("rec"),
            project_id=project_id,
            mode=Mode.LIVE,
            status=RecordingStatus.UPLOADED,
            streaming=True,
            media=(Media(id=new_id("med"), type=MediaType.AUDIO, **about),),
            job=job,
            transcription_due=True,
            created_at=at,
            updated_at=at,
        )
        return await self.recordings.add(recording)

    async def queued(self, project_id):
        waiting = queued_transcription(new_id("txn"), await self.stitched(project_id), TranscriptionRequest())
        await self.transcriptions.start(waiting, transcription_event(TranscriptionQueued, waiting))
        return waiting.id

    async def is_decided(self, recording):
        return await self.transcriptions.newest_of(recording.tenant, recording.id) is not None


@pytest.fixture
async def scene(mongo):
    scene = Scene(mongo)
    for store in (scene.recordings, scene.transcriptions):
        await store.ensure_indexes()
    return scene


async def test_the_reconciler_decides_about_the_others_and_looks_again(scene, monkeypatch):
    monkeypatch.setattr("services.transcriber.decide._BATCH", 2)
    await scene.say("proj_newer", OF_A_NEWER_RELEASE)
    undecidable = [await scene.stitched("proj_newer") for _ in range(3)]
    others = [await scene.stitched("proj_plain") for _ in range(3)]
    with captured_lines() as lines:
        for _ in range(4):
            await scene.decide.left_behind(0)
    assert [await scene.is_decided(one) for one in (*undecidable, *others)] == 3 * [False] + 3 * [True]
    named = [line["recording_id"] for line in lines if line["event"] == "config.unreadable"]
    assert sorted(named) == sorted(one.id for one in undecidable)
    await scene.say("proj_newer", {"auto_transcription": {"provider": "whisper"}})
    await scene.decide(undecidable[0].tenant, undecidable[0].id)
    assert await scene.is_decided(undecidable[0])


async def test_an_event_of_such_a_recording_is_no_poison(scene):
    await scene.say("proj_newer", OF_A_NEWER_RELEASE)
    recording = await scene.stitched("proj_newer")
    await scene.decide(recording.tenant, recording.id)
    assert (await scene.recordings.get(recording.tenant, recording.id)).transcription_due


async def test_its_queued_transcriptions_are_begun_one_at_a_time_and_the_others_as_ever(scene):
    await scene.say("proj_newer", OF_A_NEWER_RELEASE)
    newer = {await scene.queued("proj_newer") for _ in range(2)}
    others = {await scene.queued("proj_plain") for _ in range(3)}
    claimed = set()
    while (one := await scene.leases.claim("worker", 60)) is not None:
        claimed.add(one.id)
    assert others < claimed
    assert len(claimed & newer) == 1


async def test_a_list_of_providers_that_cannot_be_read_names_nobody(scene, mongo):
    await scene.say("proj_newer", {"failover_providers": ["one of tomorrow"]})
    failed = queued_transcription(new_id("txn"), await scene.stitched("proj_newer"), TranscriptionRequest())
    assert not await FailOver(EffectiveConfigs(mongo), None).turn(failed, FailureReason.PROCESSING_ERROR, "it failed")


async def test_however_many_cannot_be_decided_the_others_are_at_the_same_look(scene, mongo):
    await scene.say("proj_newer", OF_A_NEWER_RELEASE)
    for _ in range(100):
        await scene.stitched("proj_newer")
    await scene.stitched("proj_other")
    await scene.decide.left_behind(0)
    assert await mongo.database["recordings"].count_documents({"project_id": "proj_other", "transcription_due": True}) == 0
