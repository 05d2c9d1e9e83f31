"""The verb: one recording's chunks, or its one whole file, become one verified object of known duration."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from services.stitcher.ports import AudioStore, AudioWorker, Claims, Joined, Probed, StoredChunk
from shared.domain.clock import now
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.job import JobStatus
from shared.domain.media import Media, MediaStatus
from shared.domain.object_keys import chunk_number, chunk_prefix, media_key
from shared.domain.recording import Finalization, Recording
from shared.domain.stored_object import UploadReplaced, pinned
from shared.events.event import Event
from shared.events.recording import RecordingStitched, recording_event
from shared.telemetry.logs import get_logger
from shared.telemetry.metrics import stage_seconds

log = get_logger()

_DOWNLOADS = 8
_NAMED = 20  # late chunks that the log names


class StitchRecording:
    """Joins or probes what a claimed recording holds; the claim's result is written once, under its token."""

    def __init__(self, store: AudioStore, worker: AudioWorker, claims: Claims, spool: Path) -> None:
        self._store, self._worker, self._claims, self._spool = store, worker, claims, spool

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
        stored = await self._store.list(chunk_prefix(recording.project_id, recording.id))
        chunks = _numbered(stored, finalization.total_chunks)
        files = await self._download(chunks, folder)
        output = folder / "joined"
        await asyncio.to_thread(output.mkdir)
        joined = await self._worker.join(files, output)
        _check_md5(joined, finalization.checksum_md5)
        media = _joined_media(recording, joined)
        uploaded = await self._store.upload(joined.path, media.object_key, joined.content_type)
        media = msgspec.structs.replace(media, etag=uploaded.etag or None)

        def stitched(present: Recording) -> tuple[Recording, Sequence[Event]]:
            return _done(present, media, joined.duration_ms, joined.sha256, chunks_due=True)

        return await self._claims.finish(recording, stitched)

    async def _probe(self, recording: Recording, folder: Path) -> Recording:
        media = recording.audio
        if media is None:  # pictures only: nothing to hear, nothing to wait for
            return await self._claims.finish(recording, _nothing_to_hear)
        path = folder / "whole"
        with pinned(media.etag):
            await self._store.download(media.object_key, path, etag=media.etag)
        probed = await self._worker.probe(path)

        def stitched(present: Recording) -> tuple[Recording, Sequence[Event]]:
            return _done(present, _probed_media(media, probed), probed.duration_ms, probed.sha256, chunks_due=False)

        return await self._claims.finish(recording, stitched)

    async def _download(self, chunks: Mapping[int, StoredChunk], folder: Path) -> list[Path]:
        slots = asyncio.Semaphore(_DOWNLOADS)

        async def fetch(number: int, chunk: StoredChunk) -> Path:
            path = folder / f"{number:06d}"
            async with slots:
                await self._store.download(chunk.key, path, etag=chunk.etag)
            return path

        try:
            async with asyncio.TaskGroup() as tasks:
                fetches = [tasks.create_task(fetch(number, chunks[number])) for number in sorted(chunks)]
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # one chunk's failure is the recording's
        return [fetch.result() for fetch in fetches]


def _numbered(stored: Sequence[StoredChunk], total: int) -> dict[int, StoredChunk]:
    """Return chunks 1 to `total` by number; refuse a gap or an empty one. The store's listing is the truth.

    What lies above `total` came too late: the recording was finalized without it, and its sender was told so.
    """
    found = {number: item for item in stored if (number := chunk_number(item.key)) is not None}
    for number in range(1, total + 1):
        chunk = found.get(number)
        if chunk is None:
            raise PermanentFailure(FailureReason.CHUNK_MISSING, f"chunk {number} of {total} is missing", chunk_number=number)
        if chunk.size_bytes == 0:
            raise PermanentFailure(FailureReason.CHUNK_EMPTY, f"chunk {number} is empty", chunk_number=number)
    late = sorted(set(found) - set(range(1, total + 1)))
    if late:
        log.warning("stitch.late_chunks", numbers=late[:_NAMED], total=total)
    return {number: found[number] for number in range(1, total + 1)}


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
    present: Recording, media: Media, duration_ms: int, sha256: str, *, chunks_due: bool
) -> tuple[Recording, Sequence[Event]]:
    if present.content_sha256_verified_at is not None and present.content_sha256 != sha256:
        raise UploadReplaced  # a hash that was verified never gives way to another
    after = present.changed(
        media=present.with_media(media),
        duration_ms=duration_ms,
        content_sha256=sha256,
        job=present.job and present.job.ended(JobStatus.COMPLETED),
        transcription_due=True,
        chunks_due=chunks_due,
    )
    return after, (recording_event(RecordingStitched, after),)


def _nothing_to_hear(present: Recording) -> tuple[Recording, Sequence[Event]]:
    after = present.changed(job=present.job and present.job.ended(JobStatus.COMPLETED))
    return after, (recording_event(RecordingStitched, after),)
