"""The object store as the API uses it: a recording's chunks by number and its media by themselves, never by key."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from services.ingest.chunk_bodies import WholeChunk
from services.ingest.ports import ObjectStore
from shared.domain.magic import HEAD_BYTES
from shared.domain.media import CONTENT_TYPES, Media, MediaType
from shared.domain.object_keys import chunk_key, chunk_number, chunk_prefix, media_key
from shared.domain.stored_object import ObjectChanged, StoredObject
from shared.domain.tenant import Tenant

_PIECE_BYTES = 1024 * 1024
_CHUNK_CONTENT_TYPE = "application/octet-stream"


class ReceivedChunk(msgspec.Struct, frozen=True, kw_only=True):
    """One chunk as the store has it."""

    number: int
    size_bytes: int
    received_at: datetime | None


class RecordingFiles:
    """Everything that lies in the bucket for one recording."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put_chunk(self, tenant: Tenant, recording_id: str, number: int, chunk: WholeChunk) -> StoredObject:
        """Store a chunk in place of an earlier one; once this returns, every later listing has it."""
        key = chunk_key(tenant.project_id, recording_id, number)
        return await self._store.put(key, chunk.content, chunk.size_bytes, _CHUNK_CONTENT_TYPE)

    async def chunks(self, tenant: Tenant, recording_id: str) -> list[ReceivedChunk]:
        """Return the chunks that are stored, by number."""
        found = await self._store.list(chunk_prefix(tenant.project_id, recording_id))
        numbered = [(chunk_number(stored.key), stored) for stored in found]
        chunks = [
            ReceivedChunk(number=number, size_bytes=stored.size_bytes, received_at=stored.last_modified)
            for number, stored in numbered
            if number is not None
        ]
        return sorted(chunks, key=lambda chunk: chunk.number)

    def chunk_url(self, tenant: Tenant, recording_id: str, number: int, expires_s: int) -> str:
        """Return a URL that stores the chunk without passing the API."""
        return self._store.presigned_put(chunk_key(tenant.project_id, recording_id, number), expires_s)

    def upload_url(self, media: Media, expires_s: int) -> str:
        """Return a URL that stores the media file, of exactly its declared size when there is one."""
        return self._store.presigned_put(media.object_key, expires_s, size_bytes=media.declared_size_bytes)

    async def stored(self, media: Sequence[Media]) -> list[StoredObject | None]:
        """Return what the store has of each."""
        return await asyncio.gather(*(self._store.stat(item.object_key) for item in media))

    async def head(self, media: Media) -> bytes:
        """Return the file's first bytes, enough to tell what it is."""
        return await self._store.read(media.object_key, 0, HEAD_BYTES)

    async def sha256(self, media: Media, size_bytes: int) -> str:
        """Return the file's SHA-256, read piece by piece and hashed off the event loop.

        `ObjectChanged` when it is not, all the while, the object that the media's etag tells of.
        """
        digest = hashlib.sha256()
        for start in range(0, size_bytes, _PIECE_BYTES):
            piece = await self._store.read(media.object_key, start, _PIECE_BYTES)
            await asyncio.to_thread(digest.update, piece)
        (found,) = await self.stored([media])
        if media.etag is not None and (found is None or found.etag != media.etag):
            raise ObjectChanged(f"{media.object_key} was replaced while it was hashed")
        return digest.hexdigest()


def file_key(tenant: Tenant, recording_id: str, media_id: str, kind: MediaType, content_type: str) -> str:
    """Return where a media file lies; its name tells people what it is."""
    extension = CONTENT_TYPES[kind][content_type]
    return media_key(tenant.project_id, recording_id, media_id, f"{kind}.{extension}")
