"""The verb of upload-relay/chunk: chunks that come with a credential, not by their signed URL (contract 7.5)."""

from collections.abc import AsyncIterable, AsyncIterator

from services.ingest.chunk_bodies import ChunkBody
from services.ingest.ports import RecordingStore
from services.ingest.read_recordings import found
from services.ingest.receive_chunk import ReceiveChunk
from services.ingest.refusals import NotPlainAudio
from shared.domain.caller import Caller
from shared.domain.magic import HEAD_BYTES, media_kinds
from shared.domain.media import MediaType
from shared.domain.stored_object import StoredObject


class RelayChunk:
    """Takes plain chunks past their signed URLs; a gap between them is a missing chunk, as anywhere."""

    def __init__(self, recordings: RecordingStore, receive: ReceiveChunk) -> None:
        self._recordings, self._receive = recordings, receive

    async def __call__(self, caller: Caller, recording_id: str, number: int, body: ChunkBody | None) -> StoredObject:
        """Store the chunk as a PUT of it would.

        The first one must begin as audio does: an encrypted relay, whose first chunk begins with a key, is not taken, and is told
        so before anything is stored.
        """
        await found(self._recordings, caller, recording_id)
        if number == 1 and body is not None:
            body = ChunkBody(pieces=_plain(body.pieces), size_bytes=body.size_bytes)
        return await self._receive(caller.tenant, recording_id, number, body)


async def _plain(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces once their beginning is known to be that of audio."""
    head, seen = b"", False
    async for piece in pieces:
        if seen:
            yield piece
            continue
        head += piece
        if len(head) >= HEAD_BYTES:
            yield _checked(head)
            seen = True
    if head and not seen:
        yield _checked(head)


def _checked(head: bytes) -> bytes:
    if MediaType.AUDIO not in media_kinds(head):
        raise NotPlainAudio("the first chunk is no audio of a format that is taken; encrypted chunks are not taken by this relay")
    return head
