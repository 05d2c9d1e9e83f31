"""How often a chunk's PUT asks the recording: once for a recording that is new or known, twice for one nobody has heard of."""

import time

import pytest

from services.ingest.chunk_bodies import ChunkBodies, ChunkBody
from services.ingest.manifests import Manifests
from services.ingest.receive_chunk import ReceiveChunk
from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import AlreadyFinalized
from services.ingest.settle_chunk import SettleChunk
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from tests.fakes.ingest import FakeRecordings
from tests.fakes.objects import FakeObjects


class AskedRecordings(FakeRecordings):
    """Counts how often a recording was asked whether it takes chunks."""

    asked = 0

    async def intake(self, tenant, recording_id):
        self.asked += 1
        return await super().intake(tenant, recording_id)


class Scene:
    """One recording, and the time that has passed since it was made."""

    def __init__(self, status=RecordingStatus.STREAMING):
        self.recordings, self.objects, self.passed_s = AskedRecordings(), FakeObjects(), 0.0
        manifests = Manifests(self.recordings, self.objects)
        files, settle = RecordingFiles(self.objects), SettleChunk(self.recordings, manifests)
        self.receive = ReceiveChunk(files, settle, None, ChunkBodies(1000), clock=lambda: time.time() + self.passed_s)
        about = {"project_id": new_id("proj"), "mode": Mode.LIVE, "created_at": now(), "updated_at": now()}
        self.recording = Recording(id=new_id("rec"), status=status, streaming=True, **about)

    async def put(self):
        async def pieces():
            yield b"audio"

        asked = self.recordings.asked
        await self.receive(self.recording.tenant, self.recording.id, 1, ChunkBody(pieces=pieces(), size_bytes=5))
        return self.recordings.asked - asked


@pytest.mark.parametrize(("age_s", "questions"), [(0, [1, 1]), (50, [1, 1]), (3_600, [2, 1])])
async def test_a_recording_is_asked_before_a_chunk_is_stored_only_if_it_is_old_and_was_not_heard_of(age_s, questions):
    scene = Scene()
    await scene.recordings.add(scene.recording)
    scene.passed_s = age_s
    assert [await scene.put() for _ in questions] == questions


async def test_a_recording_that_was_not_heard_of_for_long_is_asked_again():
    scene = Scene()
    await scene.recordings.add(scene.recording)
    await scene.put()
    scene.passed_s = 3_600
    assert await scene.put() == 2


@pytest.mark.parametrize("age_s", [0, 3_600])
async def test_of_a_refused_chunk_nothing_stays(age_s):
    scene = Scene(RecordingStatus.FAILED)
    await scene.recordings.add(scene.recording)
    scene.passed_s = age_s
    with pytest.raises(AlreadyFinalized):
        await scene.put()
    assert scene.objects.objects == {}
