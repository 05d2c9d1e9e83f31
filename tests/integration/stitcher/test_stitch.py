"""The stitcher's verbs on a real MongoDB and a real object store, with the work itself in this process."""

import asyncio
import hashlib
import io
from datetime import timedelta
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from services.stitcher.job_rules import RecordingJobRules
from services.stitcher.join import join_chunks
from services.stitcher.probe import probe
from services.stitcher.stitch import StitchRecording
from services.stitcher.sweep_chunks import SweepChunks
from services.stitcher.verify import VerifyUpload
from shared.domain.chunks import encoded_manifest, newest_uploads
from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.ids import new_id, new_ulid
from shared.domain.job import Failure, Job, JobKind, JobStatus
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.object_keys import chunk_key, chunk_prefix, manifest_key, media_key, recording_prefix
from shared.domain.recording import Finalization, HashClaim, Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.events.recording import RecordingStitched, RecordingUploaded
from shared.storage.mongo import Mongo
from shared.storage.objects import ObjectStore
from shared.storage.recordings import Recordings
from shared.workers.lease_queue import LeaseLost
from shared.workers.leases import Leases
from tests.fakes.counts import counted

RATE = 16_000
CHUNK_S = 1.0
HOUR = timedelta(hours=1)


class InThisProcess:
    async def join(self, chunks, work, declared_ms):
        return await asyncio.to_thread(join_chunks, chunks, work, declared_ms)

    async def probe(self, path):
        return await asyncio.to_thread(probe, path)

    async def sha256(self, path):
        return hashlib.sha256(path.read_bytes()).hexdigest()


class Silence:
    def nudge(self, outbox, aggregate_id, events):
        """Publish nothing: outboxes are read as they stand."""


def opus(seconds: float, pitch_hz: float) -> bytes:
    wave = (np.sin(2 * np.pi * pitch_hz * np.arange(int(seconds * RATE)) / RATE) * 12_000).astype(np.int16)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(wave[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


class Scene:
    def __init__(self, mongo: Mongo, store: ObjectStore, spool: Path):
        self.recordings, self.store = Recordings(mongo), store
        self.leases = Leases(self.recordings, Silence(), RecordingJobRules())
        worker = InThisProcess()
        self.stitch = StitchRecording(store, self.recordings, worker, self.leases, spool)
        self.verify = VerifyUpload(store, worker, self.leases, spool)
        self.sweep = SweepChunks(store, self.recordings)

    async def streamed(
        self, chunks: dict[int, bytes], total: int, md5: str | None = None, *, as_object: bool = False
    ) -> Recording:
        """Claim a finalized recording, whose manifest is in its document or `as_object`."""
        at = now()
        recording = self._recording(JobKind.STITCH, streaming=True)
        for number, chunk in chunks.items():
            await self.put_chunk(recording, number, chunk)
        content = await self._manifest(recording)
        stored = await self._stored(recording, content) if as_object else None
        finalization = Finalization(
            total_chunks=total,
            duration_ms=int(total * CHUNK_S * 1000),
            checksum_md5=md5,
            file_size_bytes=None,
            chunks_received=total,
            stitching_job_id=recording.job.id,
            finalized_at=at,
            manifest_key=stored and stored.key,
            manifest_etag=stored and stored.etag,
            urls_end=at + HOUR,
        )
        media = self._media(recording, MediaStatus.PENDING)
        finalized = msgspec.structs.replace(recording, finalization=finalization, media=(media,))
        return await self._claimed(finalized, manifest=None if as_object else content)

    async def put_chunk(self, recording: Recording, number: int, chunk: bytes) -> str:
        """Store one more upload of a chunk."""
        key = chunk_key(recording.project_id, recording.id, number, new_ulid())
        await self.store.put(key, chunk, len(chunk), "audio/ogg")
        return key

    async def _manifest(self, recording: Recording) -> bytes:
        return encoded_manifest(newest_uploads(await self.store.list(chunk_prefix(recording.project_id, recording.id))))

    async def _stored(self, recording: Recording, content: bytes):
        key = manifest_key(recording.project_id, recording.id, new_ulid())
        return await self.store.put(key, content, len(content), "application/json")

    async def keys_of(self, recording: Recording) -> set[str]:
        """Return everything that is stored for a recording."""
        return {stored.key for stored in await self.store.list(recording_prefix(recording.project_id, recording.id))}

    async def whole(
        self,
        body: bytes,
        kind: JobKind = JobKind.STITCH,
        claim: str | None = None,
        *,
        noted: bool = True,
        of: MediaType = MediaType.AUDIO,
    ) -> Recording:
        recording = self._recording(kind, streaming=False)
        media = msgspec.structs.replace(self._media(recording, MediaStatus.UPLOADED), type=of)
        stored = await self.store.put(media.object_key, body, len(body), "audio/ogg")
        media = msgspec.structs.replace(media, etag=stored.etag if noted else None)
        hash_claim = claim and HashClaim(content_sha256=claim, media_id=media.id)
        return await self._claimed(msgspec.structs.replace(recording, media=(media,), hash_claim=hash_claim))

    async def replace(self, recording: Recording, body: bytes) -> None:
        """Do what the still valid pre-signed URL allows."""
        await self.store.put(recording.media[-1].object_key, body, len(body), "audio/ogg")

    async def outbox(self, recording: Recording):
        found = [item for item in await self.recordings.unpublished(now(), 100) if item.aggregate_id == recording.id]
        return [event for item in found for event in item.events]

    def _recording(self, kind: JobKind, *, streaming: bool) -> Recording:
        at = now()
        return Recording(
            id=new_id("rec"),
            project_id=new_id("proj"),
            mode=Mode.LIVE,
            status=RecordingStatus.PENDING if kind is JobKind.VERIFY else RecordingStatus.UPLOADED,
            streaming=streaming,
            job=Job(id=new_id("job_stitcher"), kind=kind, queued_at=at, available_at=at),
            uploaded_at=at,
            created_at=at,
            updated_at=at,
        )

    def _media(self, recording: Recording, status: MediaStatus) -> Media:
        media_id = new_id("med")
        key = media_key(recording.project_id, recording.id, media_id, "audio.ogg")
        return Media(id=media_id, type=MediaType.AUDIO, content_type="audio/ogg", object_key=key, status=status, created_at=now())

    async def _claimed(self, recording: Recording, **unseen) -> Recording:
        await self.recordings.add(recording)
        await self.recordings.save(recording, recording, **unseen)
        claimed = await self.leases.claim("test", 60)
        assert claimed.id == recording.id
        return claimed


@pytest.fixture
async def scene(mongo_settings, object_store_settings, tmp_path):
    mongo, store = Mongo(mongo_settings), ObjectStore(object_store_settings)
    await store.start()
    scene = Scene(mongo, store, tmp_path)
    await scene.recordings.ensure_indexes()
    yield scene
    await store.stop()
    mongo.close()


async def test_chunks_become_one_object_of_the_right_duration(scene):
    timed = counted("stage_seconds_count", stage="uploaded_to_stitched")
    chunks = {number: opus(CHUNK_S, 200 + 50 * number) for number in range(1, 6)}
    stitched = await scene.stitch(await scene.streamed(chunks, 5))
    assert abs(stitched.duration_ms - 5000) <= 20
    assert stitched.audio.status is MediaStatus.UPLOADED
    assert stitched.transcription_due
    assert stitched.job.status is JobStatus.COMPLETED
    assert [type(event) for event in await scene.outbox(stitched)] == [RecordingStitched]
    stored = await scene.store.stat(stitched.audio.object_key)
    body = await scene.store.read(stitched.audio.object_key, 0, stored.size_bytes)
    assert hashlib.sha256(body).hexdigest() == stitched.content_sha256
    assert (len(body), stored.etag) == (stitched.audio.file_size_bytes, stitched.audio.etag)
    assert counted("stage_seconds_count", stage="uploaded_to_stitched") == timed + 1


async def test_chunks_are_deleted_once_the_stitched_object_is_there_and_only_then(scene):
    chunks = {number: opus(CHUNK_S, 300) for number in (1, 2)}
    stitched = await scene.stitch(await scene.streamed(chunks, 2))
    prefix = chunk_prefix(stitched.project_id, stitched.id)
    assert len(await scene.store.list(prefix)) == 2
    assert await scene.sweep.due(0) == 1
    assert await scene.store.list(prefix) == []
    assert await scene.sweep.due(0) == 0
    assert await scene.keys_of(stitched) == {stitched.audio.object_key}


async def test_a_manifest_that_is_an_object_is_read_and_outlives_the_sweep(scene):
    chunks = {number: opus(CHUNK_S, 300) for number in (1, 2)}
    stitched = await scene.stitch(await scene.streamed(chunks, 2, as_object=True))
    assert abs(stitched.duration_ms - 2000) <= 20
    await scene.sweep(stitched)
    assert await scene.keys_of(stitched) == {stitched.audio.object_key, stitched.finalization.manifest_key}


async def test_what_comes_after_the_first_sweep_goes_with_the_last_which_is_when_no_url_is_left(scene):
    stitched = await scene.stitch(await scene.streamed({1: opus(CHUNK_S, 300)}, 1))
    await scene.sweep(stitched)
    late = await scene.put_chunk(stitched, 1, b"by a pre-signed URL")
    orphan = stitched.audio.object_key.replace("/audio-1.", "/audio-9.")
    overtaken = manifest_key(stitched.project_id, stitched.id, new_ulid())
    for key in (orphan, overtaken):
        await scene.store.put(key, b"x", 1, "audio/ogg")
    present = await scene.recordings.get(stitched.tenant, stitched.id)
    assert present.sweep_at == stitched.finalization.urls_end
    assert await scene.sweep.due(0) == 0
    assert {late, orphan, overtaken} < await scene.keys_of(stitched)
    ended = msgspec.structs.replace(present.finalization, urls_end=now())
    await scene.recordings.save(present, present.changed(sweep_at=now(), finalization=ended))
    assert await scene.sweep.due(0) == 1
    assert await scene.keys_of(stitched) == {stitched.audio.object_key}
    assert (await scene.recordings.get(stitched.tenant, stitched.id)).sweep_at is None


async def test_an_empty_chunk_fails_by_its_number(scene):
    claimed = await scene.streamed({1: b"x" * 10, 2: b""}, 2)
    with pytest.raises(PermanentFailure) as raised:
        await scene.stitch(claimed)
    assert (raised.value.reason, raised.value.chunk_number) == (FailureReason.CHUNK_EMPTY, 2)


async def test_a_pinned_chunk_that_vanished_fails_by_its_number(scene):
    claimed = await scene.streamed({number: opus(CHUNK_S, 300) for number in (1, 2)}, 2)
    (_, second) = await scene.store.list(chunk_prefix(claimed.project_id, claimed.id))
    await scene.store.delete([second.key])
    with pytest.raises(PermanentFailure) as raised:
        await scene.stitch(claimed)
    assert (raised.value.reason, raised.value.chunk_number) == (FailureReason.CHUNK_MISSING, 2)


async def test_a_pinned_chunk_that_its_own_url_replaced_is_not_joined(scene):
    claimed = await scene.streamed({number: opus(CHUNK_S, 300) for number in (1, 2)}, 2)
    (first, _) = await scene.store.list(chunk_prefix(claimed.project_id, claimed.id))
    other = opus(CHUNK_S, 900)
    await scene.store.put(first.key, other, len(other), "audio/ogg")
    with pytest.raises(PermanentFailure) as raised:
        await scene.stitch(claimed)
    assert (raised.value.reason, raised.value.chunk_number) == (FailureReason.CONTENT_HASH_MISMATCH, 1)


async def test_the_same_bytes_sent_again_by_the_same_url_are_no_fault(scene):
    claimed = await scene.streamed({1: opus(CHUNK_S, 300)}, 1)
    (first,) = await scene.store.list(chunk_prefix(claimed.project_id, claimed.id))
    body = await scene.store.read(first.key, 0, first.size_bytes)
    await scene.store.put(first.key, body, len(body), "audio/ogg")
    assert (await scene.stitch(claimed)).job.status is JobStatus.COMPLETED


async def test_uploads_that_finalize_did_not_pin_are_no_part_of_the_recording(scene):
    claimed = await scene.streamed({number: opus(CHUNK_S, 300) for number in (1, 2)}, 2)
    for number in (1, 2, 7):
        await scene.put_chunk(claimed, number, b"too late")
    stitched = await scene.stitch(claimed)
    assert abs(stitched.duration_ms - 2000) <= 20
    await scene.sweep(stitched)
    assert await scene.keys_of(stitched) == {stitched.audio.object_key}


async def test_a_chunk_that_is_no_audio_fails_by_its_number(scene):
    claimed = await scene.streamed({1: opus(CHUNK_S, 300), 2: b"<html>not audio</html>" * 30, 3: opus(CHUNK_S, 300)}, 3)
    with pytest.raises(PermanentFailure) as raised:
        await scene.stitch(claimed)
    assert (raised.value.reason, raised.value.chunk_number) == (FailureReason.CHUNK_NOT_AUDIO, 2)


async def test_either_md5_is_accepted_and_any_other_refused(scene):
    chunks = {1: opus(CHUNK_S, 300), 2: opus(CHUNK_S, 400)}
    audio = (await scene.stitch(await scene.streamed(chunks, 2))).audio
    joined = await scene.store.read(audio.object_key, 0, audio.file_size_bytes)
    right = {hashlib.md5(body).hexdigest() for body in (chunks[1] + chunks[2], joined)}
    assert len(right) == 2
    for md5 in right:
        assert (await scene.stitch(await scene.streamed(chunks, 2, md5))).job.status is JobStatus.COMPLETED
    with pytest.raises(PermanentFailure) as raised:
        await scene.stitch(await scene.streamed(chunks, 2, "0" * 32))
    assert raised.value.reason is FailureReason.CHECKSUM_MISMATCH


async def test_a_whole_file_is_probed_and_hashed(scene):
    body = opus(2.5, 440)
    stitched = await scene.stitch(await scene.whole(body))
    assert abs(stitched.duration_ms - 2500) <= 20
    assert stitched.content_sha256 == hashlib.sha256(body).hexdigest()
    assert stitched.content_sha256_verified_at is None
    assert stitched.audio.codec == "opus"


async def test_a_picture_by_itself_is_hashed_though_there_is_nothing_to_hear(scene):
    body = b"\xff\xd8\xff" + bytes(100)
    stitched = await scene.stitch(await scene.whole(body, of=MediaType.IMAGE))
    assert stitched.content_sha256 == hashlib.sha256(body).hexdigest()
    assert (stitched.job.status, stitched.transcription_due) == (JobStatus.COMPLETED, False)
    assert [type(event) for event in await scene.outbox(stitched)] == [RecordingStitched]


async def test_a_whole_file_that_vanished_fails_the_recording_not_the_service(scene):
    claimed = await scene.whole(opus(1, 440))
    await scene.store.delete([claimed.audio.object_key])
    with pytest.raises(PermanentFailure) as raised:
        await scene.stitch(claimed)
    assert raised.value.reason is FailureReason.OBJECT_MISSING


@pytest.mark.parametrize("kind", [JobKind.STITCH, JobKind.VERIFY])
async def test_a_file_replaced_after_its_completion_is_an_integrity_failure(scene, kind):
    other = opus(1, 880)
    claimed = await scene.whole(opus(1, 440), kind, hashlib.sha256(other).hexdigest())
    await scene.replace(claimed, other)
    with pytest.raises(PermanentFailure, match="replaced after it was completed") as raised:
        await (scene.stitch if kind is JobKind.STITCH else scene.verify)(claimed)
    failure = Failure(reason=raised.value.reason, message=raised.value.message)
    await scene.leases.fail(claimed, failure)
    shown = await scene.recordings.get(claimed.tenant, claimed.id)
    assert (shown.status, shown.failure.reason) == (RecordingStatus.INTEGRITY_FAILURE, FailureReason.CONTENT_HASH_MISMATCH)


async def test_a_file_whose_etag_was_not_noted_is_taken_as_it_is(scene):
    other = opus(1, 880)
    claimed = await scene.whole(opus(1, 440), noted=False)
    await scene.replace(claimed, other)
    assert (await scene.stitch(claimed)).content_sha256 == hashlib.sha256(other).hexdigest()


async def test_a_verified_hash_never_gives_way_to_another(scene):
    body = opus(1, 440)
    digest = hashlib.sha256(body).hexdigest()
    await scene.verify(await scene.whole(body, JobKind.VERIFY, digest, noted=False))
    claimed = await scene.leases.claim("test", 60)
    await scene.replace(claimed, opus(1, 880))
    with pytest.raises(PermanentFailure) as raised:
        await scene.stitch(claimed)
    assert raised.value.reason is FailureReason.CONTENT_HASH_MISMATCH
    assert (await scene.recordings.get(claimed.tenant, claimed.id)).content_sha256 == digest


async def test_an_equal_hash_lets_the_upload_pass_and_queues_its_probe(scene):
    body = opus(1, 440)
    digest = hashlib.sha256(body).hexdigest()
    verified = await scene.verify(await scene.whole(body, JobKind.VERIFY, digest))
    assert verified.status is RecordingStatus.UPLOADED
    assert (verified.content_sha256, verified.content_sha256_verified_at is not None) == (digest, True)
    assert (verified.job.kind, verified.job.status) == (JobKind.STITCH, JobStatus.QUEUED)
    assert [type(event) for event in await scene.outbox(verified)] == [RecordingUploaded]
    stitched = await scene.stitch(await scene.leases.claim("test", 60))
    assert stitched.job.status is JobStatus.COMPLETED


async def test_another_hash_is_an_integrity_failure(scene):
    claimed = await scene.whole(opus(1, 440), JobKind.VERIFY, "0" * 64)
    with pytest.raises(PermanentFailure) as raised:
        await scene.verify(claimed)
    assert raised.value.reason is FailureReason.CONTENT_HASH_MISMATCH


async def test_a_claim_that_was_taken_over_cannot_store_its_result(scene):
    claimed = await scene.streamed({1: opus(CHUNK_S, 300)}, 1)
    present = await scene.recordings.get(claimed.tenant, claimed.id)
    await scene.recordings.save(present, present.changed(job=present.job.claimed("another", now(), 60)))
    heir = await scene.recordings.get(claimed.tenant, claimed.id)
    stitched = await scene.stitch(heir)
    assert "/audio-2." in stitched.audio.object_key
    stored = await scene.store.stat(stitched.audio.object_key)
    with pytest.raises(LeaseLost):
        await scene.stitch(claimed)
    assert [type(event) for event in await scene.outbox(claimed)] == [RecordingStitched]
    assert (await scene.store.stat(stitched.audio.object_key)).last_modified == stored.last_modified
    assert {key for key in await scene.keys_of(stitched) if "/audio-" in key} == {stitched.audio.object_key}


async def test_nothing_is_left_in_the_spool_folder(scene, tmp_path):
    await scene.stitch(await scene.streamed({1: opus(CHUNK_S, 300)}, 1))
    assert list(tmp_path.iterdir()) == []
