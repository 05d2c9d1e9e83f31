"""Chunks of a streaming upload: which upload of a number counts, and the manifest that pins those a finalize joined.

Of several uploads of one number the one stored last counts, by the store's own time: it is the only clock that also sees what is
put past the API. The store's times may be as coarse as a second, so among equal times the upload whose ULID is greater counts:
the API mints it when it begins to store. A client that waits for its answer before it sends a chunk anew is therefore always
taken at its last word, provided that the clocks of the store's nodes, and within one second those of the API's, are not further
apart than its two requests.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from shared.domain.object_keys import chunk_of
from shared.domain.stored_object import StoredObject

IN_DOCUMENT_BYTES = 65_536
"""A manifest of no more lies in the recording's document, one write with it; that is room for some 900 chunks."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class ChunkUpload(msgspec.Struct, frozen=True, array_like=True):
    """One upload of one chunk, as the store describes it; `upload_id` is the ULID in its key."""

    number: int
    upload_id: str
    size_bytes: int
    etag: str
    stored_at: datetime | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[ChunkUpload])


def newest_uploads(stored: Iterable[StoredObject]) -> list[ChunkUpload]:
    """Return the upload that counts of each number, by number; objects that are no chunks are passed over."""
    newest: dict[int, ChunkUpload] = {}
    for item in stored:
        if (name := chunk_of(item.key)) is None:
            continue
        upload = ChunkUpload(*name, item.size_bytes, item.etag, item.last_modified)
        present = newest.get(upload.number)
        if present is None or _age(upload) > _age(present):
            newest[upload.number] = upload
    return [newest[number] for number in sorted(newest)]


def encoded_manifest(uploads: Iterable[ChunkUpload]) -> bytes:
    """Return the manifest that pins these uploads, in the order in which they are joined; when they were stored is left out."""
    return _encoder.encode([(upload.number, upload.upload_id, upload.size_bytes, upload.etag) for upload in uploads])


def decoded_manifest(content: bytes) -> list[ChunkUpload]:
    """Return the uploads that `encoded_manifest` was given; raises `msgspec.MsgspecError` for anything else."""
    return _decoder.decode(content)


def _age(upload: ChunkUpload) -> tuple[datetime, str]:
    return upload.stored_at or _LONG_AGO, upload.upload_id
