"""The verb of finalize: a streaming upload is closed when every chunk is there, and handed to the pipeline."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from services.ingest.bodies import FinalizeRecording
from services.ingest.manifests import Manifests
from services.ingest.outbox import Outbox, decided_anew
from services.ingest.ports import RecordingStore
from services.ingest.recording_files import LAST_PUT, RecordingFiles, file_key
from services.ingest.refusals import AlreadyFinalized, InvalidRequest, NotStreaming, RecordingNotFound, chunk_count_mismatch
from shared.domain.caller import Caller
from shared.domain.chunks import ChunkUpload
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id, new_ulid
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

    Which uploads are joined is settled here, once: they are listed, pinned in a manifest by key and etag, and the status moves
    with it. Beforehand the recording is marked as closing, and whoever stores a chunk after that waits for the outcome
    (`SettleChunk`). The move fails unless the recording is as it was when it was marked, and the mark still there, so no chunk
    was acknowledged since. The mark need therefore outlive no crash, and does not wait for the journal.
    """

    def __init__(
        self, recordings: RecordingStore, files: RecordingFiles, manifests: Manifests, outbox: Outbox, url_ttl_s: int
    ) -> None:
        self._recordings, self._files, self._manifests, self._outbox = recordings, files, manifests, outbox
        self._urls_end_after = timedelta(seconds=url_ttl_s + _SIGNING_SLACK_S) + LAST_PUT

    async def __call__(self, caller: Caller, recording_id: str, body: FinalizeRecording) -> Finalization:
        """Move the recording to `uploaded`, once; a repeat with the same parameters finds the same result and starts nothing.

        Refuses with the numbers of missing and unexpected chunks unless exactly 1 to `total_chunks` are stored.
        """
        closing, mark = _closing_of(body), new_ulid()

        async def attempt() -> Finalization:
            marked = await self._marked(caller, recording_id, mark, closing.total_chunks)
            if marked is None:
                return await self._found_closed(caller, recording_id, closing)
            try:
                return await self._close(marked, closing)
            except Exception:
                with contextlib.suppress(TransientFailure):  # else the mark ends by itself
                    await self._recordings.end_closing(caller.tenant, recording_id, mark)
                raise

        return await decided_anew(attempt)

    async def _marked(self, caller: Caller, recording_id: str, mark: str, total_chunks: int) -> Recording | None:
        """Return the recording with a mark of its own that can be seen before this returns; None unless it can be closed."""
        if caller.recording_id not in {None, recording_id}:
            return None
        until = now() + timedelta(seconds=CLOSING_S + CLOSING_PER_CHUNK_S * total_chunks)
        return await self._recordings.begin_closing(caller.tenant, recording_id, caller.sight, mark, until)

    async def _found_closed(self, caller: Caller, recording_id: str, closing: Closing) -> Finalization:
        """Return how the recording was closed before, once that is there for good."""
        recording = await self._recordings.get(caller.tenant, recording_id)
        if recording is None or not caller.sees(recording):
            raise RecordingNotFound("there is no such recording")
        if not recording.streaming:
            raise NotStreaming("this recording is not a streaming one: complete it by upload-complete")
        await self._recordings.confirm(recording)
        if recording.finalization is not None:
            return _repeated(recording.finalization, closing)
        if recording.status is RecordingStatus.STREAMING:
            raise VersionConflict(recording.id)  # it can be closed after all
        raise AlreadyFinalized("the recording is closed", details={"current_status": recording.status})

    async def _close(self, marked: Recording, closing: Closing) -> Finalization:
        uploads = await self._files.chunks(marked.tenant, marked.id)
        _require_all(uploads, closing.total_chunks)
        pinned = await self._manifests.pin(marked, uploads)
        finalization = self._finalization(closing, pinned.stored)
        after = _closed(marked, finalization)
        event = recording_uploaded(after, closing.total_chunks)
        try:
            await self._outbox.save(self._recordings, marked, after, event, manifest=pinned.content)
        except VersionConflict:
            if pinned.stored is not None:
                await self._files.discard(pinned.stored.key)
            raise
        return finalization

    def _finalization(self, closing: Closing, manifest: StoredObject | None) -> Finalization:
        at = now()
        return Finalization(
            total_chunks=closing.total_chunks,
            duration_ms=closing.duration_ms,
            checksum_md5=closing.checksum_md5,
            file_size_bytes=closing.file_size_bytes,
            chunks_received=closing.total_chunks,
            stitching_job_id=new_id("job_stitcher"),
            finalized_at=at,
            manifest_key=manifest.key if manifest else None,
            manifest_etag=manifest.etag if manifest else None,
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
        closing_by=(),
        finalization=finalization,
        media=recording.with_media(audio),
        job=Job(id=finalization.stitching_job_id, kind=JobKind.STITCH, queued_at=at, available_at=at),
        duration_ms=finalization.duration_ms,
        uploaded_at=at,
    )
