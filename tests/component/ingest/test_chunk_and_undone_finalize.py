"""A chunk's PUT that sees a finalize which a crash of the database then undoes, while another finalize is at work."""

from datetime import timedelta

import pytest

from services.ingest.manifests import Manifests
from services.ingest.settle_chunk import SettleChunk
from shared.domain.chunks import ChunkUpload, encoded_manifest
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id, new_ulid
from shared.domain.object_keys import chunk_key
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from tests.fakes.crashing import CrashingRecordings
from tests.fakes.ingest import FakeRecordings
from tests.fakes.objects import FakeObjects
from tests.finalized import finalized


class AtOnce:
    """Every step is made without waiting for a turn."""

    async def turn(self):
        pass


class Recordings(CrashingRecordings):
    """Recordings of a database that crashes once, as soon as `crashing`, which is asked for one of them, was answered."""

    crashing = ""

    async def intake(self, *arguments):
        return await self._answered("intake", await super().intake(*arguments))

    async def manifest(self, *arguments):
        return await self._answered("manifest", await super().manifest(*arguments))

    async def _answered(self, question, answer):
        if question == self.crashing:
            self.crashing = ""
            self.crash(retried=True)
        return answer


@pytest.mark.parametrize("crashing", ["intake", "manifest"])
async def test_it_is_not_acknowledged_while_the_other_has_perhaps_not_seen_it(crashing):
    recordings, upload_id, until = Recordings(AtOnce()), new_ulid(), now() + timedelta(minutes=1)
    fields = {"status": RecordingStatus.STREAMING, "streaming": True, "created_at": now(), "updated_at": now()}
    marks = {"closing_by": ("slow",), "closing_until": until}  # of one that has listed the chunks before this was stored
    recording = Recording(id=new_id("rec"), project_id=new_id("proj"), mode=Mode.LIVE, **fields, **marks)
    await recordings.add(recording)
    manifest = encoded_manifest([ChunkUpload(number=1, upload_id=upload_id, size_bytes=1, etag="e")])
    await FakeRecordings.save(
        recordings, recording, finalized(recording, new_id("job_stitcher")), manifest=manifest
    )  # not on the journal yet
    settle = SettleChunk(recordings, Manifests(recordings, FakeObjects()), patience_s=0)
    recordings.crashing = crashing
    with pytest.raises(TransientFailure):
        await settle(recording.tenant, recording.id, chunk_key(recording.project_id, recording.id, 1, upload_id))
    assert (await recordings.get(recording.tenant, recording.id)).closing_by == ("slow",)
