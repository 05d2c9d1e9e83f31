"""An automatic transcription decided on while its recording is deleted: in whatever order their steps meet, none is left."""

from services.ingest.delete_recording import DeleteRecording
from services.ingest.outbox import Outbox
from services.transcriber.decide import DecideTranscription
from shared.domain.clock import now
from shared.domain.config.forms import ProcessingConfig
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from tests.fakes.ingest import FakeRecordings, FakeRelay, FakeTranscriptions
from tests.fakes.stepping import Steps, every_schedule

TENANT = Tenant("proj_1")


class Defaults:
    async def processing(self, tenant, *, end_user_id, device_id):
        return ProcessingConfig()


class Scene:
    """One stitched streaming recording, whose transcription is due."""

    def __init__(self):
        self.steps, self.recordings, self.transcriptions = Steps(), FakeRecordings(), FakeTranscriptions()
        at = now()
        audio = Media(
            id="med_1", type=MediaType.AUDIO, content_type="audio/ogg", object_key="k", status=MediaStatus.UPLOADED, created_at=at
        )
        due = {"status": RecordingStatus.UPLOADED, "streaming": True, "media": (audio,), "transcription_due": True}
        self.recordings.documents["rec_1"] = Recording(
            id="rec_1", project_id="proj_1", mode=Mode.LIVE, created_at=at, updated_at=at, **due
        )

    def decide(self):
        stores = [self.steps.over(store, after=False) for store in (self.recordings, self.transcriptions)]
        return DecideTranscription(*stores, Defaults(), FakeRelay())(TENANT, "rec_1")

    def delete(self):
        stores = [self.steps.over(store, after=False) for store in (self.recordings, self.transcriptions)]
        return DeleteRecording(*stores, Outbox(FakeRelay()), 3600)(TENANT, "rec_1")


async def test_in_every_order_of_their_steps_nothing_is_left():
    made = set()

    async def run(choose):
        scene = Scene()
        assert await scene.steps.drive([scene.decide, scene.delete], choose) == [None, None]
        stored = scene.transcriptions.documents.values()
        assert [item for item in stored if item.active or item.deleted_at is None] == []
        made.add(len(stored))

    await every_schedule(run)
    assert made == {0, 1}
