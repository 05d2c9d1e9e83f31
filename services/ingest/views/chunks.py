"""Chunks of streaming uploads."""

import msgspec

from services.ingest.request_upload import ChunkUrlOffer
from shared.domain.chunks import ChunkUpload
from shared.domain.clock import wire_time, wire_time_or_none
from shared.domain.stored_object import StoredObject


class ChunkView(msgspec.Struct, kw_only=True):
    """One received chunk."""

    chunk_number: int
    file_size_bytes: int
    received_at: str | None


class StoredChunkView(msgspec.Struct, kw_only=True):
    """The answer to a chunk's PUT."""

    recording_id: str
    chunk_number: int
    file_size_bytes: int


class ChunkUrlView(msgspec.Struct, kw_only=True):
    """Where one chunk may be PUT, past the API."""

    chunk_number: int
    upload_url: str


class ChunkUrlsView(msgspec.Struct, kw_only=True):
    """URLs for chunks."""

    data: list[ChunkUrlView]
    expires_at: str
    expires_in: int


def chunk_view(chunk: ChunkUpload) -> ChunkView:
    """Show a received chunk."""
    return ChunkView(chunk_number=chunk.number, file_size_bytes=chunk.size_bytes, received_at=wire_time_or_none(chunk.stored_at))


def stored_chunk_view(recording_id: str, number: int, stored: StoredObject) -> StoredChunkView:
    """Show that a chunk is stored."""
    return StoredChunkView(recording_id=recording_id, chunk_number=number, file_size_bytes=stored.size_bytes)


def chunk_urls_view(offer: ChunkUrlOffer) -> ChunkUrlsView:
    """Show URLs for chunks."""
    return ChunkUrlsView(
        data=[ChunkUrlView(chunk_number=number, upload_url=url) for number, url in offer.urls.items()],
        expires_at=wire_time(offer.expires_at),
        expires_in=offer.expires_in,
    )
