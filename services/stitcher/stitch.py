"""The verb: one recording's chunks, or its one whole file, become one verified object of known duration."""

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from services.stitcher.ports import AudioStore, AudioWorker, Claims, Joined, Probed, RecordingStore
from shared.domain.chunks import ChunkUpload, decoded_manifest
from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.job import JobStatus
from shared.domain.media import Media, MediaStatus, main_file
from shared.domain.object_keys import chunk_key, media_key
from shared.domain.recording import Finalization, Recording
from shared.domain.stored_object import ObjectChanged, ObjectMissing, UploadReplaced
from shared.events.event import Event
from shared.events.recording import RecordingStitched, recording_event
from shared.telemetry.metrics import stage_seconds
from shared.uploads import fetch_upload
from shared.workers.lease_queue import LeaseLost

_DOWNLOADS = 8


class StitchRecording:
    """Joins or probes what a claimed recording holds; the claim's result is written once, under its token."""

    def __init__(self, store: AudioStore, recordings: RecordingStore, worker: AudioWorker, claims: Claims, spool: Path) -> None:
        self._store, self._recordings = store, recordings
        self._worker, self._claims, self._spool = worker, claims, spool

    async def __call__(self, recording: Recording) -> Recording:
        """Stitch `recording` and return it as it stands after; raises `PermanentFailure` when its audio is at fault.

        Audio passes through files below the spool folder, never whole through memory; they are gone afterwards.
        """
        with tempfile.TemporaryDirectory(dir=self._spool, prefix=f"{recording.id}-") as folder:
            if recording.finalization is not None:
                stitched = await self._join(recording, recording.finalization, Path(folder))
            else:
                stitched = await self._probe(recording, Path(folder))
        if stitched.uploaded_at is not None:
            stage_seconds.labels("uploaded_to_stitched").observe((now() - stitched.uploaded_at).total_seconds())
        return stitched

    async def _join(self, recording: Recording, finalization: Finalization, folder: Path) -> Recording:
        uploads = await self._pinned(recording, finalization, folder)
        files = await self._download(recording, uploads, folder)
        output = folder / "joined"
        await asyncio.to_thread(output.mkdir)
        joined = await self._worker.join(files, output, finalization.duration_ms)
        _check_md5(joined, finalization.checksum_md5)
        media = _joined_media(recording, joined)
        uploaded = await self._store.upload(joined.path, media.object_key, joined.content_type)
        media = msgspec.structs.replace(media, etag=uploaded.etag or None)

        def stitched(present: Recording) -> tuple[Recording, Sequence[Event]]:
            return _done(present, media, joined.duration_ms, joined.sha256, sweep_at=now())

        try:
            return await self._claims.finish(recording, stitched)
        except LeaseLost:  # another claim's result counts; should this fail, that one's last sweep finds it
            await self._store.delete([media.object_key])
            raise

    async def _probe(self, recording: Recording, folder: Path) -> Recording:
        media = recording.audio
        if media is None:
            return await self._hash(recording, folder)
        probed = await self._worker.probe(await self._whole(media, folder))

        def stitched(present: Recording) -> tuple[Recording, Sequence[Event]]:
            return _done(present, _probed_media(media, probed), probed.duration_ms, probed.sha256, sweep_at=None)

        return await self._claims.finish(recording, stitched)

    async def _hash(self, recording: Recording, folder: Path) -> Recording:
        """Pictures only: there is nothing to hear, and to wait for nothing but the hash."""
        digest = await self._worker.sha256(await self._whole(main_file(recording.media), folder))

        def hashed(present: Recording) -> tuple[Recording, Sequence[Event]]:
            return _hashed(present, digest)

        return await self._claims.finish(recording, hashed)

    async def _whole(self, media: Media, folder: Path) -> Path:
        """Fetch the file as it was when its upload was completed."""
        path = folder / "whole"
        await fetch_upload(self._store, media, path)
        return path

    async def _pinned(self, recording: Recording, finalization: Finalization, folder: Path) -> list[ChunkUpload]:
        """Return the uploads that finalize pinned, in order: what else the store holds is no part of the recording."""
        content = await self._manifest(recording, finalization, folder)
        uploads = await asyncio.to_thread(decoded_manifest, content)
        for upload in uploads:
            if upload.size_bytes == 0:
                message = f"chunk {upload.number} is empty"
                raise PermanentFailure(FailureReason.CHUNK_EMPTY, message, chunk_number=upload.number)
        return uploads

    async def _manifest(self, recording: Recording, finalization: Finalization, folder: Path) -> bytes:
        if finalization.manifest_key is None:
            kept = await self._recordings.manifest(recording.tenant, recording.id)
            if kept is None:
                raise LeaseLost(recording.id)  # the recording is gone, and whose job it was
            return kept
        path = folder / "manifest"
        await self._store.download(finalization.manifest_key, path, etag=finalization.manifest_etag or None)
        return await asyncio.to_thread(path.read_bytes)

    async def _download(self, recording: Recording, uploads: Sequence[ChunkUpload], folder: Path) -> list[Path]:
        slots = asyncio.Semaphore(_DOWNLOADS)

        async def fetch(upload: ChunkUpload) -> Path:
            path = folder / f"{upload.number:06d}"
            key = chunk_key(recording.project_id, recording.id, upload.number, upload.upload_id)
            async with slots:
                try:
                    await self._store.download(key, path, etag=upload.etag or None)
                except (ObjectChanged, ObjectMissing) as error:
                    raise _at_fault(error, upload.number) from error
            return path

        try:
            async with asyncio.TaskGroup() as tasks:
                fetches = [tasks.create_task(fetch(upload)) for upload in uploads]
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # one chunk's failure is the recording's
        return [fetch.result() for fetch in fetches]


def _at_fault(error: ObjectChanged | ObjectMissing, number: int) -> PermanentFailure:
    """Return what it means that a pinned upload is not there as it was: its own pre-signed URL alone can replace it."""
    if isinstance(error, ObjectMissing):
        return PermanentFailure(FailureReason.CHUNK_MISSING, f"chunk {number} is missing", chunk_number=number)
    message = f"chunk {number} was replaced after the recording was finalized"
    return PermanentFailure(FailureReason.CONTENT_HASH_MISMATCH, message, chunk_number=number)


def _check_md5(joined: Joined, expected: str | None) -> None:
    """Compare with the MD5 of the chunks' bytes in order and with that of the joined object; either passes (A8)."""
    if expected is not None and expected.lower() not in (joined.chunks_md5, joined.md5):
        raise PermanentFailure(FailureReason.CHECKSUM_MISMATCH, "the audio's MD5 is not the one declared at finalize")


def _joined_media(recording: Recording, joined: Joined) -> Media:
    announced = recording.media[-1]
    # Every claim writes an object of its own: one that comes late cannot replace the winner's.
    name = f"audio-{recording.job.token if recording.job else 0}.{joined.extension}"
    return msgspec.structs.replace(
        announced,
        object_key=media_key(recording.project_id, recording.id, announced.id, name),
        content_type=joined.content_type,
        status=MediaStatus.UPLOADED,
        file_size_bytes=joined.size_bytes,
        codec=joined.codec,
        sample_rate_hz=joined.sample_rate_hz,
        channels=joined.channels,
    )


def _probed_media(media: Media, probed: Probed) -> Media:
    return msgspec.structs.replace(
        media,
        file_size_bytes=probed.size_bytes,
        codec=probed.codec,
        sample_rate_hz=probed.sample_rate_hz,
        channels=probed.channels,
    )


def _done(
    present: Recording, media: Media, duration_ms: int, sha256: str, *, sweep_at: datetime | None
) -> tuple[Recording, Sequence[Event]]:
    _check_verified(present, sha256)
    after = present.changed(
        media=present.with_media(media),
        duration_ms=duration_ms,
        content_sha256=sha256,
        job=present.job and present.job.ended(JobStatus.COMPLETED),
        transcription_due=True,
        sweep_at=sweep_at,
    )
    return after, (recording_event(RecordingStitched, after),)


def _hashed(present: Recording, sha256: str) -> tuple[Recording, Sequence[Event]]:
    _check_verified(present, sha256)
    after = present.changed(content_sha256=sha256, job=present.job and present.job.ended(JobStatus.COMPLETED))
    return after, (recording_event(RecordingStitched, after),)


def _check_verified(present: Recording, sha256: str) -> None:
    """Raise unless this may be its hash: one that was verified never gives way to another."""
    if present.content_sha256_verified_at is not None and present.content_sha256 != sha256:
        raise UploadReplaced
