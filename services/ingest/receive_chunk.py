"""The verb of a chunk's PUT: its bytes go to the object store, under a key of their own, and count if no finalize went before."""

import time
from collections.abc import Callable

from services.ingest.chunk_bodies import ChunkBodies, ChunkBody
from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import Refused
from services.ingest.settle_chunk import SettleChunk, require_open
from services.ingest.signatures import ChunkQuery, Signatures
from shared.domain.ids import made_since
from shared.domain.stored_object import StoredObject
from shared.domain.tenant import Tenant

_OPEN_FOR_S = 60.0
_MOST_KNOWN = 10_000


class ReceiveChunk:
    """Takes chunks in: any order, any content type, a later one of the same number takes the place of an earlier one.

    A chunk is acknowledged only when the store has confirmed it and, asked after that, the recording says that it counts
    (`SettleChunk`). No PUT touches what another one stored, so one that is refused has changed nothing; what it stored it
    deletes, and the stitcher's sweep does should it fail to.
    """

    def __init__(
        self,
        files: RecordingFiles,
        settle: SettleChunk,
        signatures: Signatures,
        bodies: ChunkBodies,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files, self._settle, self._signatures = files, settle, signatures
        self._bodies, self._clock = bodies, clock
        self._known_open: dict[str, float] = {}

    def admit(self, recording_id: str, query: ChunkQuery) -> Tenant:
        """Return whose recording the URL opens; raises `Forbidden` or `UploadUrlExpired`."""
        return self._signatures.chunk_grant(recording_id, query, self._clock()).tenant

    async def __call__(self, tenant: Tenant, recording_id: str, number: int, body: ChunkBody | None) -> StoredObject:
        """Store the chunk; None for a body of unknown length."""
        admitted = self._bodies.admitted(body)
        if admitted.large or not self._lately_open(recording_id):
            require_open(await self._settle.intake(tenant, recording_id))  # else it would be stored for nothing
        stored = await self._store(tenant, recording_id, number, admitted)
        try:
            await self._settle(tenant, recording_id, stored.key)
        except Refused:
            self._known_open.pop(recording_id, None)
            await self._files.discard(stored.key)
            raise
        self._note_open(recording_id)
        return stored

    async def _store(self, tenant: Tenant, recording_id: str, number: int, body: ChunkBody) -> StoredObject:
        if not body.large:
            return await self._files.put_chunk(tenant, recording_id, number, await self._bodies.gathered(body))
        async with self._bodies.taken(body) as whole:
            return await self._files.put_chunk(tenant, recording_id, number, whole)

    def _lately_open(self, recording_id: str) -> bool:
        """Say whether it is new, or took a chunk not long ago: then one question, after the store's answer, will do."""
        lately = self._clock() - _OPEN_FOR_S
        return self._known_open.get(recording_id, 0.0) > lately or made_since(recording_id, int(lately * 1000))

    def _note_open(self, recording_id: str) -> None:
        self._known_open.pop(recording_id, None)
        self._known_open[recording_id] = self._clock()
        if len(self._known_open) > _MOST_KNOWN:
            del self._known_open[next(iter(self._known_open))]
