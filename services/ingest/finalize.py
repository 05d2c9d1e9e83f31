"""The verb of finalize: a streaming upload is closed when every chunk is there, and handed to the pipeline."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from services.ingest.bodies import FinalizeRecording
from services.ingest.outbox import Outbox, decided_anew
from services.ingest.ports import RecordingStore
from services.ingest.recording_files import RecordingFiles, file_key
from services.ingest.refusals import AlreadyFinalized, InvalidRequest, NotStreaming, RecordingNotFound, chunk_count_mismatch
from shared.domain.caller import Caller
from shared.domain.chunks import ChunkUpload
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id
from shared.domain.job import Job, JobKind
from shared.domain.media import Media, MediaType
from shared.domain.recording import Finalization, Recording, RecordingStatus
from shared.domain.stored_object import StoredObject
from shared.domain.transition import VersionConflict
from shared.events.recording import recording_uploaded

CLOSING_S, CLOSING_PER_CHUNK_S = 10.0, 0.002  # far longer than the store's listing takes; only a finalize that dies leaves it so
_SIGNING_SLACK_S = 60.0  # between a look at an open recording and the signing of a URL for it
_STITCHED_TYPE = "audio/ogg"  # what the joined audio is called until the stitcher knows better


class Closing(msgspec.Struct, frozen=True):
    """The parameters of a finalize, under one name each."""

    total_chunks: int
    duration_ms: int
    checksum_md5: str | None
    file_size_bytes: int | None


class Finalize:
    """Closes streaming uploads.

    Which uploads are joined is settled here, once: they are listed, pinned in a manifest by key and etag, and only then does
    the status move. Beforehand the recording is marked as closing, and whoever stores a chunk after that waits for the outcome
    (`SettleChunk`). The move fails unless the recording is as it was when it was marked, so no chunk was acknowledged since.
    """

    def __init__(self, recordings: RecordingStore, files: RecordingFiles, outbox: Outbox, url_ttl_s: int) -> None:
        self._recordings, self._files, self._outbox = recordings, files, outbox
        self._urls_end_after = timedelta(seconds=url_ttl_s + _SIGNING_SLACK_S)

    async def __call__(self, caller: Caller, recording_id: str, body: FinalizeRecording) -> Finalization:
        """Move the recording to `uploaded`, once; a repeat with the same parameters finds the same result and starts nothing.

        Refuses with the numbers of missing and unexpected chunks unless exactly 1 to `total_chunks` are stored.
        """
        closing = _closing_of(body)

        async def attempt() -> Finalization:
            recording = await self._recordings.get(caller.tenant, recording_id)
            if recording is None or not caller.sees(recording):
                raise RecordingNotFound("there is no such recording")
            if not recording.streaming:
                raise NotStreaming("this recording is not a streaming one: complete it by upload-complete")
            if recording.finalization is not None:
                return _repeated(recording.finalization, closing)
            return await self._close(recording, closing)

        return await decided_anew(attempt)

    async def _close(self, recording: Recording, closing: Closing) -> Finalization:
        if recording.status is not RecordingStatus.STREAMING:
            raise AlreadyFinalized("the recording is closed", details={"current_status": recording.status})
        marked = await self._marked(recording, closing.total_chunks)
        try:
            manifest = await self._pin(marked, closing.total_chunks)
        except Exception:
            await self._reopen(marked)
            raise
        finalization = self._finalization(closing, manifest)
        after = _closed(marked, finalization)
        try:
            await self._outbox.save(self._recordings, marked, after, recording_uploaded(after, closing.total_chunks))
        except VersionConflict:
            await self._files.discard(manifest.key)
            raise
        return finalization

    async def _marked(self, recording: Recording, total_chunks: int) -> Recording:
        """Return the recording with a mark that began before this returns: its own, or that of another finalize at work."""
        at = now()
        if recording.closing_until is not None and recording.closing_until > at:
            return recording
        until = at + timedelta(seconds=CLOSING_S + CLOSING_PER_CHUNK_S * total_chunks)
        return await self._recordings.save(recording, recording.closing(until))

    async def _pin(self, recording: Recording, total_chunks: int) -> StoredObject:
        uploads = await self._files.chunks(recording.tenant, recording.id)
        _require_all(uploads, total_chunks)
        return await self._files.pin(recording.tenant, recording.id, uploads)

    async def _reopen(self, marked: Recording) -> None:
        with contextlib.suppress(VersionConflict, TransientFailure):  # else the mark ends by itself
            await self._recordings.save(marked, marked.closing(None))

    def _finalization(self, closing: Closing, manifest: StoredObject) -> Finalization:
        at = now()
        return Finalization(
            total_chunks=closing.total_chunks,
            duration_ms=closing.duration_ms,
            checksum_md5=closing.checksum_md5,
            file_size_bytes=closing.file_size_bytes,
            chunks_received=closing.total_chunks,
            stitching_job_id=new_id("job_stitcher"),
            finalized_at=at,
            manifest_key=manifest.key,
            manifest_etag=manifest.etag,
            urls_end=at + self._urls_end_after,
        )


def _require_all(uploads: Sequence[ChunkUpload], total_chunks: int) -> None:
    if len(uploads) != total_chunks or uploads[-1].number != total_chunks:
        raise chunk_count_mismatch(total_chunks, [upload.number for upload in uploads])


def _closing_of(body: FinalizeRecording) -> Closing:
    duration_ms = body.duration_ms if body.final_duration_ms is None else body.final_duration_ms
    if duration_ms is None:
        raise InvalidRequest("final_duration_ms is required", param="final_duration_ms")
    return Closing(
        total_chunks=body.total_chunks,
        duration_ms=duration_ms,
        checksum_md5=body.checksum_md5.lower() if body.checksum_md5 else None,
        file_size_bytes=body.file_size_bytes if body.final_file_size_bytes is None else body.final_file_size_bytes,
    )


def _repeated(done: Finalization, closing: Closing) -> Finalization:
    before = Closing(done.total_chunks, done.duration_ms, done.checksum_md5, done.file_size_bytes)
    if before != closing:
        different = [name for name in Closing.__struct_fields__ if getattr(before, name) != getattr(closing, name)]
        raise AlreadyFinalized("the recording was finalized with other parameters", details={"different": different})
    return done


def _closed(recording: Recording, finalization: Finalization) -> Recording:
    at, media_id = finalization.finalized_at, new_id("med")
    audio = Media(
        id=media_id,
        type=MediaType.AUDIO,
        content_type=_STITCHED_TYPE,
        object_key=file_key(recording.tenant, recording.id, media_id, MediaType.AUDIO, _STITCHED_TYPE),
        created_at=at,
    )
    return recording.changed(
        status=RecordingStatus.UPLOADED,
        closing_until=None,
        finalization=finalization,
        media=recording.with_media(audio),
        job=Job(id=finalization.stitching_job_id, kind=JobKind.STITCH, queued_at=at, available_at=at),
        duration_ms=finalization.duration_ms,
        uploaded_at=at,
    )
