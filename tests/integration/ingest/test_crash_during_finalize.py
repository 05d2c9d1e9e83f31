"""mongod is killed while a finalize is at work: its mark may be gone, but no chunk that was acknowledged is."""

import asyncio

import pytest

from services.ingest import finalize as finalizing
from services.ingest.bodies import FinalizeRecording
from services.ingest.finalize import Finalize
from services.ingest.manifests import Manifests
from services.ingest.outbox import Outbox
from services.ingest.recording_files import RecordingFiles
from services.ingest.settle_chunk import SettleChunk
from shared.domain.caller import Caller, CredentialKind
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id, new_ulid
from shared.domain.object_keys import chunk_key
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.settings import MongoSettings
from shared.storage.mongo import Mongo
from shared.storage.recordings import Recordings
from tests.fakes.ingest import FakeRelay
from tests.fakes.objects import FakeObjects


class Scene:
    """The verbs of a streaming upload over a MongoDB of its own, and one recording with one chunk."""

    def __init__(self, mongod):
        self.mongod = mongod
        self.mongo = Mongo(MongoSettings(mongo_url=mongod.url, mongo_database="crash"))
        self.recordings, self.objects = Recordings(self.mongo), FakeObjects()
        self.manifests = Manifests(self.recordings, self.objects)
        self.settle = SettleChunk(self.recordings, self.manifests)
        files = RecordingFiles(self.objects)
        self.finalize = Finalize(self.recordings, files, self.manifests, Outbox(FakeRelay()), 3600)
        fields = {"status": RecordingStatus.STREAMING, "streaming": True, "created_at": now(), "updated_at": now()}
        self.recording = Recording(id=new_id("rec"), project_id=new_id("proj"), mode=Mode.LIVE, **fields)

    async def crash(self):
        await asyncio.to_thread(self.mongod.kill)
        await asyncio.to_thread(self.mongod.start)

    async def put(self):
        """Store chunk 1 anew; return its key once it is acknowledged."""
        key = chunk_key(self.recording.project_id, self.recording.id, 1, new_ulid())
        self.objects.take(key, b"a chunk")
        async with asyncio.timeout(60):
            while True:
                try:
                    await self.settle(self.recording.tenant, self.recording.id, key)
                except TransientFailure:
                    continue
                return key

    async def close(self):
        caller = Caller(tenant=self.recording.tenant, credential_id="key_1", kind=CredentialKind.SECRET_KEY)
        async with asyncio.timeout(60):
            while True:
                try:
                    return await self.finalize(caller, self.recording.id, FinalizeRecording(total_chunks=1, duration_ms=1))
                except TransientFailure:
                    continue

    async def joined(self):
        return await self.manifests.named(await self.recordings.get(self.recording.tenant, self.recording.id))


@pytest.fixture
async def scene(servers, monkeypatch):
    """A scene whose marks last a second: should the journal have been written just before the crash, one is voided then."""
    monkeypatch.setattr(finalizing, "CLOSING_S", 1.0)
    scene = Scene(servers.mongo())
    await scene.recordings.add(scene.recording)
    yield scene
    scene.mongo.close()


async def test_a_chunk_acknowledged_after_a_crash_took_the_mark_away_is_joined(scene):
    await scene.put()
    listed, acknowledged = scene.objects.list, []

    async def list_and_crash(prefix):
        found = await listed(prefix)
        scene.objects.list = listed
        await scene.crash()
        acknowledged.append(await scene.put())
        return found

    scene.objects.list = list_and_crash
    await scene.close()
    assert await scene.joined() == set(acknowledged)


@pytest.mark.parametrize("step", ["begin_closing", "save", "confirm"])
async def test_a_finalize_that_was_answered_outlives_every_crash(scene, step):
    first = await scene.put()
    real = getattr(scene.recordings, step)

    async def crashing(*arguments, **unseen):
        setattr(scene.recordings, step, real)
        under_way = asyncio.create_task(real(*arguments, **unseen))
        await scene.crash()
        return await under_way

    setattr(scene.recordings, step, crashing)
    finalization = await scene.close()
    assert await scene.close() == finalization
    await scene.crash()
    assert await scene.close() == finalization
    assert await scene.joined() == {first}
