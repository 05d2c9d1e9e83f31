"""The object store as the API uses it: a recording's chunks by number and its media by themselves."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterable, Sequence
from datetime import timedelta

from services.ingest.chunk_bodies import WholeChunk
from services.ingest.ports import ObjectStore
from shared.domain.chunks import ChunkUpload, newest_uploads
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_ulid
from shared.domain.magic import HEAD_BYTES
from shared.domain.media import CONTENT_TYPES, Media, MediaType
from shared.domain.object_keys import chunk_key, chunk_prefix, media_key
from shared.domain.stored_object import ObjectChanged, StoredObject
from shared.domain.tenant import Tenant

LAST_PUT = timedelta(hours=1)
"""A PUT that began while its pre-signed URL was good may take this long."""

FEW_CHUNKS = 200
"""So many are looked through within a millisecond, on the event loop; there may be a million."""

_PIECE_BYTES = 1024 * 1024
_CHUNK_CONTENT_TYPE = "application/octet-stream"


class RecordingFiles:
    """Everything that lies in the bucket for one recording."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put_chunk(self, tenant: Tenant, recording_id: str, number: int, chunk: WholeChunk) -> StoredObject:
        """Store a chunk under a key of its own; once this returns, every later listing has it."""
        key = chunk_key(tenant.project_id, recording_id, number, new_ulid())
        return await self._store.put(key, chunk.content, chunk.size_bytes, _CHUNK_CONTENT_TYPE)

    async def discard(self, key: str) -> None:
        """Delete what this process alone has stored and nobody will read; what a failure leaves behind the stitcher sweeps."""
        with contextlib.suppress(TransientFailure):
            await self._store.delete([key])

    async def chunks(self, tenant: Tenant, recording_id: str) -> list[ChunkUpload]:
        """Return the chunks that are stored, by number, of each the upload that counts."""
        found = await self._store.list(chunk_prefix(tenant.project_id, recording_id))
        return newest_uploads(found) if len(found) <= FEW_CHUNKS else await asyncio.to_thread(newest_uploads, found)

    def chunk_url(self, tenant: Tenant, recording_id: str, number: int, expires_s: int) -> str:
        """Return a URL, unlike any other, that stores the chunk without passing the API."""
        return self._store.presigned_put(chunk_key(tenant.project_id, recording_id, number, new_ulid()), expires_s)

    def upload_url(self, media: Media, expires_s: int) -> str:
        """Return a URL that stores the media file, of exactly its declared size when there is one."""
        return self._store.presigned_put(media.object_key, expires_s, size_bytes=media.declared_size_bytes)

    def download_url(self, media: Media, file_name: str, expires_s: int) -> str:
        """Return a URL that reads the media file, to be saved under this name."""
        return self._store.presigned_get(media.object_key, expires_s, filename=file_name, content_type=media.content_type)

    async def put_media(self, media: Media, pieces: AsyncIterable[bytes], size_bytes: int) -> StoredObject:
        """Store the media file as it comes, exactly `size_bytes` of it or nothing."""
        return await self._store.put(media.object_key, pieces, size_bytes, media.content_type)

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
