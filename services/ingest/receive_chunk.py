"""The verb of a chunk's PUT: its bytes go to the object store, and count only while the recording is open."""

import time
from collections.abc import Callable

from services.ingest.chunk_bodies import ChunkBodies, ChunkBody
from services.ingest.ports import RecordingStore
from services.ingest.read_recordings import existing
from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import AlreadyFinalized, NotStreaming
from services.ingest.signatures import ChunkQuery, Signatures
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.stored_object import StoredObject
from shared.domain.tenant import Tenant


class ReceiveChunk:
    """Takes chunks in: any order, any content type, a later one of the same number replaces an earlier one.

    A chunk is acknowledged only when the store has confirmed it and the recording, read again after that, is still open. So
    whoever lists the chunks after a finalize sees every acknowledged one. Nothing is written before the body has arrived whole
    and the recording, read then, is open: however slow its sender, a body that ends after the finalize touches no stored chunk.
    What remains is the time of the store's own write: a finalize within it leaves a chunk refused whose bytes may be stored.
    """

    def __init__(
        self,
        recordings: RecordingStore,
        files: RecordingFiles,
        signatures: Signatures,
        bodies: ChunkBodies,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._recordings, self._files, self._signatures = recordings, files, signatures
        self._bodies, self._clock = bodies, clock

    def admit(self, recording_id: str, query: ChunkQuery) -> Tenant:
        """Return whose recording the URL opens; raises `Forbidden` or `UploadUrlExpired`."""
        return self._signatures.chunk_grant(recording_id, query, self._clock()).tenant

    async def __call__(self, tenant: Tenant, recording_id: str, number: int, body: ChunkBody | None) -> StoredObject:
        """Store the chunk; None for a body of unknown length."""
        admitted = self._bodies.admitted(body)
        if admitted.large:
            await self._require_open(tenant, recording_id)  # else it would be read for nothing; a small one is on its way anyway
        async with self._bodies.taken(admitted) as whole:
            await self._require_open(tenant, recording_id)
            stored = await self._files.put_chunk(tenant, recording_id, number, whole)
        await self._require_open(tenant, recording_id)
        return stored

    async def _require_open(self, tenant: Tenant, recording_id: str) -> None:
        require_open(await existing(self._recordings, tenant, recording_id))


def require_open(recording: Recording) -> None:
    """Refuse unless the recording takes chunks."""
    if not recording.streaming:
        raise NotStreaming("this recording is not a streaming one: upload it by upload-url")
    if recording.status is not RecordingStatus.STREAMING:
        raise AlreadyFinalized(
            "the recording is finalized and takes no more chunks", details={"current_status": recording.status}
        )
