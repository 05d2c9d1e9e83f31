"""A transcription started while its recording is deleted: in whatever order their reads and writes meet, none is left."""

import pytest

from services.ingest.bodies import Transcribe
from services.ingest.configuration.provider_choice import ChooseProvider
from services.ingest.delete_recording import DeleteRecording
from services.ingest.outbox import Outbox
from services.ingest.providers import ConfiguredProviders
from services.ingest.refusals import NotFound
from services.ingest.start_transcription import ProviderChoice, StartTranscription
from shared.domain.caller import Caller, CredentialKind
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcription import ProviderName, Transcription
from tests.fakes.configs import FakeConfigs
from tests.fakes.ingest import FakeProjects, FakeRecordings, FakeRelay, FakeTranscriptions
from tests.fakes.provider_keys import FakeProviderKeys
from tests.fakes.stepping import Steps, every_schedule

CALLER = Caller(tenant=Tenant("proj_1"), credential_id="key_1", kind=CredentialKind.SECRET_KEY)


class Scene:
    """One recording with its audio, one that starts a transcription and one that deletes the recording."""

    def __init__(self):
        self.steps, self.recordings, self.transcriptions = Steps(), FakeRecordings(), FakeTranscriptions()
        at = now()
        audio = Media(
            id="med_1", type=MediaType.AUDIO, content_type="audio/wav", object_key="k", status=MediaStatus.UPLOADED, created_at=at
        )
        fields = {"status": RecordingStatus.UPLOADED, "media": (audio,), "created_at": at, "updated_at": at}
        self.recordings.documents["rec_1"] = Recording(id="rec_1", project_id="proj_1", mode=Mode.LIVE, **fields)

    def start(self):
        stores = [self.steps.over(store, after=False) for store in (self.recordings, self.transcriptions)]
        providers = ConfiguredProviders({ProviderName.WHISPER}, FakeProviderKeys())
        choice = ProviderChoice(providers, ChooseProvider(FakeConfigs(), FakeProjects()))
        return StartTranscription(*stores, Outbox(FakeRelay()), choice)(CALLER, "rec_1", Transcribe())

    def delete(self):
        stores = [self.steps.over(store, after=False) for store in (self.recordings, self.transcriptions)]
        return DeleteRecording(*stores, Outbox(FakeRelay()), 3600)(CALLER.tenant, "rec_1")

    def left(self):
        return [item for item in self.transcriptions.documents.values() if item.active or item.deleted_at is None]


async def test_in_every_order_of_their_steps_nothing_is_left():
    outcomes = set()

    async def run(choose):
        scene = Scene()
        started, deleted = await scene.steps.drive([scene.start, scene.delete], choose)
        assert deleted is None
        assert isinstance(started, Transcription | NotFound), repr(started)
        assert scene.left() == []
        outcomes.add((type(started), len(scene.transcriptions.documents)))

    await every_schedule(run)
    assert outcomes == {(Transcription, 1), (NotFound, 0), (NotFound, 1)}


@pytest.mark.parametrize("failing", ["get", "delete_of"])
async def test_where_the_deletion_cannot_be_told_the_start_stands(monkeypatch, failing):
    scene = Scene()
    add = scene.transcriptions.add

    async def down(*_):
        raise TransientFailure("down")

    async def added(*args):
        stored = await add(*args)
        recording = scene.recordings.documents["rec_1"]
        scene.recordings.documents["rec_1"] = recording.deleted(now())
        monkeypatch.setattr(scene.recordings if failing == "get" else scene.transcriptions, failing, down)
        return stored

    monkeypatch.setattr(scene.transcriptions, "add", added)
    (started,) = await scene.steps.drive([scene.start], lambda _: 0)
    assert isinstance(started, Transcription)
    assert [item.id for item in scene.left()] == [started.id]
