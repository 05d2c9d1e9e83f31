"""The verb of a chunk's PUT: its bytes go to the object store, and count only while the recording is open."""

import time
from collections.abc import Callable

from services.ingest.limits import MAX_CHUNK_NUMBER
from services.ingest.ports import RecordingStore
from services.ingest.read_recordings import found
from services.ingest.recording_files import ChunkBody, RecordingFiles
from services.ingest.refusals import (
    AlreadyFinalized,
    EmptyChunk,
    InvalidRequest,
    LengthRequired,
    NotStreaming,
    PayloadTooLarge,
)
from services.ingest.signatures import ChunkQuery, Signatures
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.stored_object import StoredObject
from shared.domain.tenant import Tenant


class ReceiveChunk:
    """Takes chunks in: any order, any content type, a later one of the same number replaces an earlier one.

    A chunk is acknowledged only when the store has confirmed it and the recording, read again after that, is still open. So
    whoever lists the chunks after a finalize sees every acknowledged one.
    """

    def __init__(
        self,
        recordings: RecordingStore,
        files: RecordingFiles,
        signatures: Signatures,
        *,
        max_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._recordings, self._files, self._signatures = recordings, files, signatures
        self._max_bytes, self._clock = max_bytes, clock

    def admit(self, recording_id: str, query: ChunkQuery) -> Tenant:
        """Return whose recording the URL opens; raises `Forbidden` or `UploadUrlExpired`."""
        return self._signatures.chunk_grant(recording_id, query, self._clock()).tenant

    async def __call__(self, tenant: Tenant, recording_id: str, number: int, body: ChunkBody | None) -> StoredObject:
        """Store the chunk; None for a body of unknown length."""
        if not 1 <= number <= MAX_CHUNK_NUMBER:
            raise InvalidRequest(f"chunk numbers go from 1 to {MAX_CHUNK_NUMBER}", param="chunk_number")
        if body is None:
            raise LengthRequired("a chunk needs a Content-Length header")
        if body.size_bytes > self._max_bytes:
            raise PayloadTooLarge(f"a chunk may be {self._max_bytes} bytes at most", details={"max_bytes": self._max_bytes})
        if body.size_bytes == 0:
            raise EmptyChunk("the chunk is empty; nothing was stored")
        require_open(await found(self._recordings, tenant, recording_id))
        stored = await self._files.put_chunk(tenant, recording_id, number, body)
        require_open(await found(self._recordings, tenant, recording_id))
        return stored


def require_open(recording: Recording) -> None:
    """Refuse unless the recording takes chunks."""
    if not recording.streaming:
        raise NotStreaming("this recording is not a streaming one: upload it by upload-url")
    if recording.status is not RecordingStatus.STREAMING:
        raise AlreadyFinalized(
            "the recording is finalized and takes no more chunks", details={"current_status": recording.status}
        )
