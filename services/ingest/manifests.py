"""Which uploads a finalize joins, written down: in the recording's own document, or where there are too many, as an object."""

import asyncio
from collections.abc import Sequence

import msgspec

from services.ingest.ports import ObjectStore, RecordingStore
from services.ingest.recording_files import FEW_CHUNKS
from shared.domain.chunks import IN_DOCUMENT_BYTES, ChunkUpload, decoded_manifest, encoded_manifest
from shared.domain.ids import new_ulid
from shared.domain.object_keys import chunk_key, manifest_key
from shared.domain.recording import Recording
from shared.domain.stored_object import ObjectMissing, StoredObject


class Pinned(msgspec.Struct, frozen=True):
    """A manifest: its bytes, to be saved with the recording, or the object that holds them."""

    content: bytes | None
    stored: StoredObject | None


class Manifests:
    """The manifests of recordings, wherever they lie."""

    def __init__(self, recordings: RecordingStore, objects: ObjectStore) -> None:
        self._recordings, self._objects = recordings, objects

    async def pin(self, recording: Recording, uploads: Sequence[ChunkUpload]) -> Pinned:
        """Write down which uploads will be joined; an object is a new one, that nobody else writes."""
        few = len(uploads) <= FEW_CHUNKS
        content = encoded_manifest(uploads) if few else await asyncio.to_thread(encoded_manifest, uploads)
        if len(content) <= IN_DOCUMENT_BYTES:
            return Pinned(content, None)
        key = manifest_key(recording.project_id, recording.id, new_ulid())
        return Pinned(None, await self._objects.put(key, content, len(content), "application/json"))

    async def named(self, recording: Recording) -> set[str]:
        """Return the keys of the uploads that a finalized recording's manifest names; raises `ObjectMissing` when it is gone."""
        uploads = await asyncio.to_thread(decoded_manifest, await self._content(recording))
        return {chunk_key(recording.project_id, recording.id, upload.number, upload.upload_id) for upload in uploads}

    async def _content(self, recording: Recording) -> bytes:
        assert recording.finalization is not None
        key = recording.finalization.manifest_key
        if key is None:
            content = await self._recordings.manifest(recording.tenant, recording.id)
            if content is None:
                raise ObjectMissing(recording.id)
            return content
        stored = await self._objects.stat(key)
        if stored is None:
            raise ObjectMissing(key)
        return await self._objects.read(key, 0, stored.size_bytes)
