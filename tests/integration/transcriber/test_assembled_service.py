"""The transcriber as its own assembly joins it, under settings and configuration; its engine does what a test says."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from services.transcriber.app import Transcriber
from services.transcriber.cloud_settings import CloudSettings
from services.transcriber.settings import SpeechSettings, TranscriberSettings
from shared.domain.clock import now
from shared.domain.config.levels import lineage
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.ids import new_id
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcript import Transcript
from shared.domain.transcription import ProviderName, TranscriptionStatus
from shared.settings import HttpSettings, RuntimeSettings, SealingSettings
from shared.storage.config_overrides import ConfigOverrides
from shared.storage.mongo import Mongo
from shared.storage.objects import ObjectStore
from tests.fakes.configs import say
from tests.fakes.sealing import SEALING_KEY
from tests.integration.transcriber.remote_scene import AUDIO, SAID, Scene

DEADLINE_S = 60.0
LOOK_S = 0.02
WHISPER, ASSEMBLYAI = ProviderName.WHISPER, ProviderName.ASSEMBLYAI
HEARD = Transcript(text="heard here", language="en", duration_ms=5000, segments=(), confidence=None, word_count=2)


class Engine:
    """The worker processes: a job ends as `faults` say, or is heard, once it is `released`; both of each are noted, by its id."""

    def __init__(self):
        self.faults, self.noted, self.limits_s, self.released = [], [], [], asyncio.Event()
        self.released.set()

    async def start(self):
        pass

    async def stop(self):
        pass

    async def check(self):
        """Say that some are warm."""

    async def run(self, job, *, on_progress, time_limit_s):
        transcription_id = job.audio_path.parent.name.partition("-")[0]
        self.noted.append(("begun", transcription_id))
        self.limits_s.append(time_limit_s)
        await self.released.wait()
        self.noted.append(("ended", transcription_id))
        if self.faults:
            raise self.faults.pop(0)
        return HEARD


class Assembled(Scene):
    """The stores around a running transcriber."""

    def __init__(self, mongo, tmp_path, providers, engine):
        super().__init__(mongo, tmp_path, providers)
        self.configs, self.engine = ConfigOverrides(mongo), engine

    async def project(self, **processing):
        project_id = new_id("proj")
        await say(self.configs, lineage(None, Tenant(project_id))[-1], "processing", processing)
        return project_id

    async def over(self, transcription):
        """The transcription once it has ended, whoever did it."""
        async with asyncio.timeout(DEADLINE_S):
            while (present := await self.present(transcription)).active:
                await asyncio.sleep(LOOK_S)
        return present

    async def stitched_unheard(self):
        """A streaming recording that was stitched a minute ago; the event that told of it was lost."""
        then = now() - timedelta(minutes=1)
        audio = Media(
            id=new_id("med"),
            type=MediaType.AUDIO,
            content_type=AUDIO.content_type,
            object_key=AUDIO.key,
            status=MediaStatus.UPLOADED,
            file_size_bytes=len(AUDIO.content),
            created_at=then,
        )
        stitched = Recording(
            id=new_id("rec"),
            project_id=await self.project(),
            mode=Mode.LIVE,
            status=RecordingStatus.UPLOADED,
            streaming=True,
            media=(audio,),
            duration_ms=AUDIO.duration_ms,
            transcription_due=True,
            created_at=then,
            updated_at=then,
        )
        return await self.recordings.add(stitched)

    async def begun(self, transcription):
        async with asyncio.timeout(DEADLINE_S):
            while ("begun", transcription.id) not in self.engine.noted:
                await asyncio.sleep(LOOK_S)


@pytest.fixture
async def scene(mongo_settings, kafka_settings, bucket_settings, tmp_path, providers):
    store = ObjectStore(bucket_settings)
    await store.start()
    await store.ensure_bucket()
    await store.put(AUDIO.key, AUDIO.content, len(AUDIO.content), AUDIO.content_type)
    assemblyai = providers["assemblyai"]
    settings = TranscriberSettings(
        mongo=mongo_settings,
        kafka=kafka_settings,
        s3=bucket_settings,
        http=HttpSettings(http_host="127.0.0.1", http_port=0),
        runtime=RuntimeSettings(work_dir=tmp_path / "work"),
        sealing=SealingSettings((SEALING_KEY,)),
        speech=SpeechSettings(transcribe_slots=5, transcribe_time_limit_s=77.0),
        cloud=CloudSettings(assemblyai_url=assemblyai.url, assemblyai_api_key=assemblyai.key, whisper_hour_price=36.0),
    )
    mongo, engine = Mongo(mongo_settings), Engine()
    service = Transcriber(settings, engine)
    await service.start()
    yield Assembled(mongo, tmp_path, providers, engine)
    engine.released.set()
    await service.stop()
    mongo.close()
    await store.stop()


async def test_what_fails_here_goes_to_the_next_provider_of_the_projects_list(scene, providers):
    scene.engine.faults = [PermanentFailure(FailureReason.PROCESSING_ERROR, "the model is gone")]
    asked = await scene.queued(WHISPER, project_id=await scene.project(failover_providers=["assemblyai"]))
    done = await scene.over(asked)
    assert (done.status, done.provider, done.tried) == (TranscriptionStatus.COMPLETED, ASSEMBLYAI, (WHISPER,))
    assert (await scene.text(done), scene.engine.noted) == (SAID, [("begun", done.id), ("ended", done.id)])


async def test_what_fails_elsewhere_may_go_to_the_engine_here(scene, providers):
    providers["assemblyai"].key = "another"  # the installation's is refused
    asked = await scene.queued(ASSEMBLYAI, project_id=await scene.project(failover_providers=["whisper"]))
    done = await scene.over(asked)
    assert (done.status, done.provider, done.tried) == (TranscriptionStatus.COMPLETED, WHISPER, (ASSEMBLYAI,))
    assert await scene.text(done) == HEARD.text


async def test_a_project_runs_no_more_at_once_than_its_configuration_says_and_others_go_on(scene):
    scene.engine.released.clear()
    narrow, wide = await scene.project(max_concurrent_transcriptions=1), await scene.project()
    first = await scene.queued(WHISPER, project_id=narrow)
    await scene.begun(first)
    second = await scene.queued(WHISPER, project_id=narrow)
    for other in [await scene.queued(WHISPER, project_id=wide) for _ in range(3)]:
        await scene.begun(other)
    scene.engine.released.set()
    assert (await scene.over(second)).status is TranscriptionStatus.COMPLETED
    noted = scene.engine.noted
    assert noted.index(("ended", first.id)) < noted.index(("begun", second.id))


async def counted(name, transcription):
    """What a metric says of the transcription's project, once it says something: it is counted after it is stored."""
    labels = {"provider": transcription.provider.value, "project_id": transcription.project_id}
    async with asyncio.timeout(DEADLINE_S):
        while (value := REGISTRY.get_sample_value(f"earwitness_{name}", labels)) is None:
            await asyncio.sleep(LOOK_S)
    return value


async def test_the_engine_is_given_the_time_limit_and_what_it_did_is_counted_with_its_price(scene):
    asked = await scene.queued(WHISPER, project_id=await scene.project())
    await scene.over(asked)
    assert scene.engine.limits_s == [77.0]
    assert await counted("transcribed_seconds_total", asked) == 5.0
    assert await counted("transcription_cost_total", asked) == pytest.approx(0.05)


async def test_a_recording_of_which_no_event_told_is_found_and_transcribed(scene):
    unheard = await scene.stitched_unheard()
    async with asyncio.timeout(DEADLINE_S):
        while (present := await scene.recordings.get(unheard.tenant, unheard.id)).status is not RecordingStatus.COMPLETED:
            await asyncio.sleep(LOOK_S)
    assert scene.engine.noted == [("begun", present.transcription_id), ("ended", present.transcription_id)]
