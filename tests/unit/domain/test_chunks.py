"""Which upload of a chunk counts, and what a manifest keeps of it."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.chunks import IN_DOCUMENT_BYTES, ChunkUpload, decoded_manifest, encoded_manifest, newest_uploads
from shared.domain.ids import new_ulid
from shared.domain.object_keys import chunk_key, manifest_key
from shared.domain.stored_object import StoredObject

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EARLIER, LATER = sorted((new_ulid(), new_ulid()))


def stored(number: int, upload: str, at: datetime | None = NOON) -> StoredObject:
    return StoredObject(chunk_key("p", "r", number, upload), 7, f"etag of {upload}", at)


def counting(*objects: StoredObject) -> dict[int, str]:
    return {upload.number: upload.upload_id for upload in newest_uploads(objects)}


def test_the_upload_that_was_stored_last_counts_whenever_its_url_was_signed() -> None:
    assert counting(stored(1, LATER, NOON), stored(1, EARLIER, NOON + timedelta(seconds=1))) == {1: EARLIER}


def test_of_the_same_second_the_upload_that_was_begun_last_counts() -> None:
    assert counting(stored(1, EARLIER), stored(1, LATER)) == counting(stored(1, LATER), stored(1, EARLIER)) == {1: LATER}


def test_a_store_that_tells_no_times_leaves_the_order_to_the_uploads() -> None:
    assert counting(stored(1, LATER, None), stored(1, EARLIER, None)) == {1: LATER}


def test_what_is_no_chunk_is_passed_over() -> None:
    junk = [StoredObject(key, 1, "x") for key in ("p/r/chunks/000001", manifest_key("p", "r", LATER), "p/r/chunks/x")]
    assert counting(*junk, stored(2, EARLIER)) == {2: EARLIER}


UPLOADS = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), max_size=20)


@given(uploads=UPLOADS, order=st.randoms(use_true_random=False))
def test_what_counts_does_not_depend_on_the_order_of_the_listing(uploads: list[tuple[int, int]], order: object) -> None:
    objects = [stored(number, new_ulid(), NOON + timedelta(seconds=second)) for number, second in uploads]
    shuffled = list(objects)
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own Random
    assert newest_uploads(objects) == newest_uploads(shuffled)
    assert [upload.number for upload in newest_uploads(objects)] == sorted({number for number, _ in uploads})


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    uploads = newest_uploads([stored(number, new_ulid()) for number in (3, 1, 2)])
    assert uploads[0] == ChunkUpload(1, uploads[0].upload_id, 7, uploads[0].etag, NOON)
    read = decoded_manifest(encoded_manifest(uploads))
    assert read == [msgspec.structs.replace(upload, stored_at=None) for upload in uploads]


def test_a_manifest_that_tells_when_its_uploads_were_stored_is_read_too() -> None:
    uploads = newest_uploads([stored(number, new_ulid()) for number in (1, 2)])
    assert decoded_manifest(msgspec.json.encode(uploads)) == uploads


def test_a_manifest_of_a_million_chunks_stays_below_a_hundred_bytes_each() -> None:
    uploads = [ChunkUpload(999_999, LATER, 67_108_864, "0" * 32, NOON)] * 1000
    assert len(encoded_manifest(uploads)) <= 85_000


def test_the_manifest_of_an_hour_in_chunks_of_five_seconds_fits_into_a_document() -> None:
    uploads = [ChunkUpload(number, LATER, 1_000_000, "0" * 32, NOON) for number in range(1, 721)]
    assert len(encoded_manifest(uploads)) <= IN_DOCUMENT_BYTES


@pytest.mark.parametrize("content", [b"", b"{}", b"[[1]]", b'[["1", "u", 1, "e"]]'])
def test_what_is_no_manifest_is_not_taken_for_one(content: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decoded_manifest(content)
