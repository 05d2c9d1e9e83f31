"""What is put into the object store comes out again, whole or in ranges, listed in order; on a real server."""

import asyncio
import os
from collections.abc import AsyncIterator

import msgspec
import pytest

from shared.domain.ids import new_ulid
from shared.domain.object_keys import chunk_key, chunk_of, chunk_prefix
from shared.settings import S3Settings
from shared.storage.objects import BodyMismatch, ObjectMissing, ObjectStore, ObjectStoreRefused, ObjectStoreUnavailable

HOSTILE_KEYS = (
    "p/a b+c%2F&?#=ü€😀'\"<>*~!()@:$,;|^`{}[]",
    "p/control\x01\x1f\ttab\nline",
    "p/%00 %zz/...y/trailing space ",
)


@pytest.fixture
async def store(bucket_settings: S3Settings) -> AsyncIterator[ObjectStore]:
    store = ObjectStore(bucket_settings)
    await store.start()
    yield store
    await store.stop()


async def pieces(content: bytes, piece_bytes: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), piece_bytes):
        yield content[start : start + piece_bytes]
        yield b""  # an HTTP server may hand on nothing


@pytest.mark.parametrize("size_bytes", [0, 1, 131_072, 262_144, 262_145, 3_000_001])
async def test_a_body_comes_out_as_it_went_in(store: ObjectStore, size_bytes: int) -> None:
    content = os.urandom(size_bytes)
    for key, body in (("p/whole", content), ("p/streamed", pieces(content))):
        put = await store.put(key, body, size_bytes, "audio/ogg")
        stored = await store.stat(key)
        assert stored is not None
        assert (stored.key, stored.size_bytes, stored.etag) == (put.key, put.size_bytes, put.etag)
        assert stored.last_modified is not None
        assert await store.read(key, 0, size_bytes + 1) == content


async def test_a_range_is_cut_at_the_end_of_the_object(store: ObjectStore) -> None:
    await store.put("p/k", b"0123456789", 10, "audio/ogg")
    assert await store.read("p/k", 3, 4) == b"3456"
    assert await store.read("p/k", 8, 100) == b"89"
    assert await store.read("p/k", 10, 1) == b""
    with pytest.raises(ValueError, match="range"):
        await store.read("p/k", 0, 0)


async def test_what_does_not_exist_is_missing(store: ObjectStore) -> None:
    assert await store.stat("p/none") is None
    with pytest.raises(ObjectMissing):
        await store.read("p/none", 0, 1)
    assert await store.list("p/none") == []
    await store.delete(["p/none", "p/none\x01"])


@pytest.mark.parametrize("size_bytes", [131_072, 1_000_000])
@pytest.mark.parametrize("excess", [-1, 1, 70_000, -70_000])
async def test_a_body_of_another_length_leaves_what_was_there(store: ObjectStore, size_bytes: int, excess: int) -> None:
    await store.put("p/k", b"before", 6, "audio/ogg")
    with pytest.raises(BodyMismatch):
        await store.put("p/k", pieces(os.urandom(size_bytes + excess)), size_bytes, "audio/ogg")
    assert await store.read("p/k", 0, 100) == b"before"


@pytest.mark.parametrize("size_bytes", [131_072, 1_000_000])
async def test_a_client_that_goes_away_leaves_nothing(store: ObjectStore, size_bytes: int) -> None:
    async def abandoned() -> AsyncIterator[bytes]:
        yield os.urandom(size_bytes - 1)
        raise EOFError("the client went away")

    with pytest.raises(EOFError):
        await store.put("p/k", abandoned(), size_bytes, "audio/ogg")
    assert await store.stat("p/k") is None


async def test_a_cancelled_upload_leaves_nothing(store: ObjectStore) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield os.urandom(500_000)
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.put("p/k", endless(), 1_000_000, "audio/ogg"))
    await asyncio.wait_for(begun.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.stat("p/k") is None


async def test_hostile_keys_are_only_names(store: ObjectStore) -> None:
    for key in HOSTILE_KEYS:
        content = key.encode()
        await store.put(key, content, len(content), "audio/ogg")
        assert await store.read(key, 0, 1000) == content
    assert [stored.key for stored in await store.list("p/")] == sorted(HOSTILE_KEYS)
    for key in HOSTILE_KEYS:
        assert [stored.key for stored in await store.list(key)] == [key]
    await store.delete(HOSTILE_KEYS)
    assert await store.list("p/") == []


async def test_a_long_listing_is_paged_and_sorted_and_can_be_deleted(store: ObjectStore) -> None:
    numbers = range(1, 1101)
    await asyncio.gather(
        *(store.put(chunk_key("p", "r", number, new_ulid()), b"x" * (number % 7), number % 7, "audio/ogg") for number in numbers)
    )
    others = chunk_key("p", "r2", 1, new_ulid())
    await store.put(others, b"another recording's", 19, "audio/ogg")
    listed = await store.list(chunk_prefix("p", "r"))
    named = [(chunk_of(stored.key), stored.size_bytes) for stored in listed]
    assert [(name and name[0], size_bytes) for name, size_bytes in named] == [(number, number % 7) for number in numbers]
    await store.delete([stored.key for stored in listed])
    assert [stored.key for stored in await store.list("p/")] == [others]


async def test_sixty_four_at_once_do_not_mix(store: ObjectStore) -> None:
    contents = [os.urandom(200_000 + 5_000 * number) for number in range(64)]  # gathered ones and streamed ones

    async def there_and_back(number: int) -> bytes:
        key = chunk_key("p", "r", number + 1, new_ulid())
        await store.put(key, pieces(contents[number]), len(contents[number]), "audio/ogg")
        return await store.read(key, 0, len(contents[number]))

    assert await asyncio.gather(*map(there_and_back, range(64))) == contents


@pytest.mark.parametrize("name", ["x-amz-checksum-crc32", "Content-MD5"])
async def test_a_small_body_that_arrives_damaged_is_not_stored(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    sums = store._checks.headers((b"what was ", b"sent"))
    monkeypatch.setattr(store._checks, "headers", lambda _content: {name: sums[name]})
    with pytest.raises(ObjectStoreUnavailable):
        await store.put("p/damaged", b"what came out", 13, "audio/ogg")
    assert await store.stat("p/damaged") is None


@pytest.mark.parametrize("sizes", [(1, 0, 2), (65_536, 65_536), (300_000, 1)])
async def test_a_body_in_pieces_is_stored_as_one(store: ObjectStore, sizes: tuple[int, ...]) -> None:
    pieces = tuple(bytes([number]) * size for number, size in enumerate(sizes))
    put = await store.put("p/pieces", pieces, sum(sizes), "audio/ogg")
    assert (put.size_bytes, await store.read("p/pieces", 0, 1_000_000)) == (sum(sizes), b"".join(pieces))
    with pytest.raises(BodyMismatch):
        await store.put("p/short", pieces, sum(sizes) + 1, "audio/ogg")
    assert await store.stat("p/short") is None


async def test_the_server_is_seen_to_compare_crc32(store: ObjectStore) -> None:
    await store.put("p/first", b"x", 1, "audio/ogg")
    assert list(store._checks.headers((b"x",))) == ["x-amz-checksum-crc32"]


async def test_the_bucket_is_made_once(bucket_settings: S3Settings) -> None:
    settings = msgspec.structs.replace(bucket_settings, s3_bucket=bucket_settings.s3_bucket + "-new")
    first, second = ObjectStore(settings), ObjectStore(settings)
    await first.start()
    with pytest.raises(ObjectStoreRefused):
        await first.check()
    await asyncio.gather(first.ensure_bucket(), second.ensure_bucket(), first.ensure_bucket())
    await first.check()
    await first.stop()
    await second.stop()


async def test_a_missing_bucket_is_never_taken_for_a_missing_object(bucket_settings: S3Settings) -> None:
    store = ObjectStore(msgspec.structs.replace(bucket_settings, s3_bucket="no-such-bucket"))
    await store.start()
    with pytest.raises(ObjectStoreRefused):
        await store.stat("p/k")
    with pytest.raises(ObjectStoreRefused, match="NoSuchBucket"):
        await store.read("p/k", 0, 1)
    with pytest.raises(ObjectStoreRefused, match="NoSuchBucket"):
        await store.list("p/")
    await store.stop()


async def test_wrong_credentials_are_refused_with_the_stores_reason(bucket_settings: S3Settings) -> None:
    store = ObjectStore(msgspec.structs.replace(bucket_settings, s3_secret_key="wrong"))
    await store.start()
    with pytest.raises(ObjectStoreRefused):
        await store.check()
    with pytest.raises(ObjectStoreRefused, match="SignatureDoesNotMatch"):
        await store.put("p/k", b"x", 1, "audio/ogg")
    await store.stop()
