"""The sweep for chunks that a crash left, on a real MongoDB and a real object store: it reaches every recording."""

from datetime import timedelta

import pytest

from services.stitcher.sweep_chunks import SweepChunks
from shared.domain.clock import now
from shared.domain.ids import new_id, new_ulid
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.object_keys import chunk_key, chunk_prefix, media_key
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.storage.mongo import Mongo
from shared.storage.objects import ObjectStore, ObjectStoreRefused, ObjectStoreUnavailable
from shared.storage.recordings import Recordings
from shared.telemetry.logs import captured_lines

MINUTE = timedelta(minutes=1)
SOON_S = 601


class Withholding(ObjectStore):
    """A store that does not delete what lies below `held`, as one whose owner has put that under a hold."""

    held, failure = "nothing", ObjectStoreUnavailable

    async def delete(self, keys):
        if any(key.startswith(self.held) for key in keys):
            raise self.failure("1 objects were not deleted, the first: AccessDenied")
        await super().delete(keys)


class Scene:
    def __init__(self, recordings, store):
        self.recordings, self.store = recordings, store
        self.sweep = SweepChunks(store, recordings)

    async def joined(self, due_since, *, stored=True):
        """Store a recording of which a chunk was left; unless `stored`, the joined audio was lost."""
        at, project_id, recording_id, media_id = now(), new_id("proj"), new_id("rec"), new_id("med")
        key = media_key(project_id, recording_id, media_id, "audio-1.ogg")
        kind = {"type": MediaType.AUDIO, "content_type": "audio/ogg", "status": MediaStatus.UPLOADED}
        recording = Recording(
            id=recording_id,
            project_id=project_id,
            media=(Media(id=media_id, object_key=key, created_at=at, **kind),),
            mode=Mode.LIVE,
            status=RecordingStatus.COMPLETED,
            streaming=True,
            sweep_at=at - due_since,
            created_at=at,
            updated_at=at,
        )
        await self.store.put(chunk_key(recording.project_id, recording.id, 1, new_ulid()), b"left", 4, "audio/ogg")
        if stored:
            await self.store.put(key, b"joined", 6, "audio/ogg")
        return await self.recordings.add(recording)

    async def is_swept(self, recording):
        return not await self.store.list(chunk_prefix(recording.project_id, recording.id))


@pytest.fixture
async def scene(mongo_settings, object_store_settings):
    mongo, store = Mongo(mongo_settings), Withholding(object_store_settings)
    await store.start()
    scene = Scene(Recordings(mongo), store)
    await scene.recordings.ensure_indexes()
    yield scene
    await store.stop()
    mongo.close()


@pytest.mark.parametrize("failure", [ObjectStoreUnavailable, ObjectStoreRefused])
async def test_one_that_cannot_be_swept_keeps_no_other_from_it_and_is_tried_again(scene, failure):
    held, another = await scene.joined(due_since=3 * MINUTE), await scene.joined(due_since=2 * MINUTE)
    scene.store.held, scene.store.failure = held.project_id, failure
    with captured_lines() as lines:
        await scene.sweep.due(0)
    assert await scene.is_swept(another)
    assert [line["recording_id"] for line in lines if line["event"] == "sweep.not_done_yet"] == [held.id]
    assert await scene.sweep.due(0) == 0  # it is left alone for a while
    scene.store.held = "nothing"
    assert await scene.sweep.due(-SOON_S) == 1
    assert await scene.is_swept(held)
    assert await scene.sweep.due(-SOON_S) == 0


async def test_however_many_are_due_one_look_reaches_all(scene, monkeypatch):
    monkeypatch.setattr("services.stitcher.sweep_chunks._BATCH", 3)
    recordings = [await scene.joined(due_since=MINUTE) for _ in range(8)]
    scene.store.held = recordings[0].project_id
    assert await scene.sweep.due(0) == len(recordings)
    assert [one.id for one in recordings if not await scene.is_swept(one)] == [recordings[0].id]


async def test_the_chunks_of_audio_that_the_store_has_lost_stay(scene):
    lost, whole = await scene.joined(due_since=2 * MINUTE, stored=False), await scene.joined(due_since=MINUTE)
    with captured_lines() as lines:
        await scene.sweep.due(0)
    assert await scene.is_swept(whole)
    assert await scene.store.stat(whole.media[0].object_key)
    assert not await scene.is_swept(lost)
    told = [(line["recording_id"], line["objects"]) for line in lines if line["event"] == "sweep.audio_missing"]
    assert told == [(lost.id, 1)]
    assert await scene.sweep.due(-SOON_S) == 0  # it is not looked at again
