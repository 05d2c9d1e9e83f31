"""The verb of finalize: a streaming upload is closed when every chunk is there, and handed to the pipeline."""

import msgspec

from services.ingest.bodies import FinalizeRecording
from services.ingest.outbox import Outbox, decided_anew
from services.ingest.ports import RecordingStore
from services.ingest.recording_files import RecordingFiles, file_key
from services.ingest.refusals import AlreadyFinalized, InvalidRequest, NotStreaming, RecordingNotFound, chunk_count_mismatch
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.job import Job, JobKind
from shared.domain.media import Media, MediaType
from shared.domain.recording import Finalization, Recording, RecordingStatus
from shared.events.recording import recording_uploaded

_STITCHED_TYPE = "audio/ogg"  # what the joined audio is called until the stitcher knows better


class Closing(msgspec.Struct, frozen=True):
    """The parameters of a finalize, under one name each."""

    total_chunks: int
    duration_ms: int
    checksum_md5: str | None
    file_size_bytes: int | None


class Finalize:
    """Closes streaming uploads."""

    def __init__(self, recordings: RecordingStore, files: RecordingFiles, outbox: Outbox) -> None:
        self._recordings, self._files, self._outbox = recordings, files, outbox

    async def __call__(self, caller: Caller, recording_id: str, body: FinalizeRecording) -> Finalization:
        """Move the recording to `uploaded`, once; a repeat with the same parameters finds the same result and starts nothing.

        Refuses with the numbers of missing and unexpected chunks unless exactly 1 to `total_chunks` are stored.
        """
        closing = _closing_of(body)

        async def attempt() -> Finalization:
            recording = await self._recordings.get(caller.tenant, recording_id)
            if recording is None or not caller.sees(recording):
                raise RecordingNotFound(f"there is no recording {recording_id[:80]}")
            if not recording.streaming:
                raise NotStreaming("this recording is not a streaming one: complete it by upload-complete")
            if recording.finalization is not None:
                return _repeated(recording.finalization, closing)
            return await self._close(caller, recording, closing)

        return await decided_anew(attempt)

    async def _close(self, caller: Caller, recording: Recording, closing: Closing) -> Finalization:
        if recording.status is not RecordingStatus.STREAMING:
            raise AlreadyFinalized("the recording is closed", details={"current_status": recording.status})
        numbers = [chunk.number for chunk in await self._files.chunks(caller.tenant, recording.id)]
        if len(numbers) != closing.total_chunks or numbers[-1] != closing.total_chunks:
            raise chunk_count_mismatch(closing.total_chunks, numbers)
        after = _closed(recording, closing)
        await self._outbox.save(self._recordings, recording, after, recording_uploaded(after, closing.total_chunks))
        assert after.finalization is not None
        return after.finalization


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


def _closed(recording: Recording, closing: Closing) -> Recording:
    at = now()
    job_id, media_id = new_id("job_stitcher"), new_id("med")
    audio = Media(
        id=media_id,
        type=MediaType.AUDIO,
        content_type=_STITCHED_TYPE,
        object_key=file_key(recording.tenant, recording.id, media_id, MediaType.AUDIO, _STITCHED_TYPE),
        created_at=at,
    )
    return recording.changed(
        status=RecordingStatus.UPLOADED,
        finalization=Finalization(
            total_chunks=closing.total_chunks,
            duration_ms=closing.duration_ms,
            checksum_md5=closing.checksum_md5,
            file_size_bytes=closing.file_size_bytes,
            chunks_received=closing.total_chunks,
            stitching_job_id=job_id,
            finalized_at=at,
        ),
        media=recording.with_media(audio),
        job=Job(id=job_id, kind=JobKind.STITCH, queued_at=at, available_at=at),
        duration_ms=closing.duration_ms,
        uploaded_at=at,
    )
