"""Files go to the store and come back, of any length in little memory, over connections that break."""

import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from shared.settings import S3Settings
from shared.storage.objects import ObjectChanged, ObjectMissing, ObjectStore, ObjectStoreUnavailable
from tests.integration.storage.faulty_wire import FaultyWire, faulty_wire

MIB = 1024 * 1024
BLOCK = os.urandom(MIB)


@pytest.fixture
async def wire(bucket_settings: S3Settings) -> AsyncIterator[FaultyWire]:
    async with faulty_wire(bucket_settings.s3_endpoint) as wire:
        yield wire


@pytest.fixture
async def store(bucket_settings: S3Settings, wire: FaultyWire) -> AsyncIterator[ObjectStore]:
    store = ObjectStore(msgspec.structs.replace(bucket_settings, s3_endpoint=wire.endpoint))
    await store.start()
    yield store
    await store.stop()


def write(path: Path, mib: int, tail: bytes = b"") -> Path:
    with path.open("wb") as file:
        for number in range(mib):
            file.write(number.to_bytes(4) + BLOCK[4:])
        file.write(tail)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


@pytest.mark.parametrize(("mib", "tail"), [(0, b""), (1, b"x"), (16, b""), (16, b"x"), (24, b"")])
async def test_a_file_comes_back_as_it_went(store: ObjectStore, tmp_path: Path, mib: int, tail: bytes) -> None:
    source = write(tmp_path / "source", mib, tail)
    stored = await store.upload(source, "p/r/m/audio.ogg", "audio/ogg")
    assert stored.size_bytes == source.stat().st_size
    await store.download("p/r/m/audio.ogg", tmp_path / "copy", etag=stored.etag)
    assert md5(tmp_path / "copy") == md5(source)
    assert names(tmp_path) == ["copy", "source"]


async def test_two_hundred_megabytes_pass_in_little_memory(store: ObjectStore, tmp_path: Path) -> None:
    source = write(tmp_path / "source", 200)
    tracemalloc.start()
    try:
        stored = await store.upload(source, "p/long", "audio/ogg")
        uploading = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        await store.download("p/long", tmp_path / "copy", etag=stored.etag)
        downloading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert md5(tmp_path / "copy") == md5(source)
    assert uploading < 48 * MIB
    assert downloading < 16 * MIB


async def test_a_replaced_object_is_not_downloaded(store: ObjectStore, tmp_path: Path) -> None:
    old = await store.put("p/k", b"old", 3, "audio/ogg")
    await store.put("p/k", b"new", 3, "audio/ogg")
    with pytest.raises(ObjectChanged):
        await store.download("p/k", tmp_path / "copy", etag=old.etag)
    with pytest.raises(ObjectMissing):
        await store.download("p/none", tmp_path / "copy")
    assert names(tmp_path) == []


async def test_a_broken_download_goes_on_where_it_broke(store: ObjectStore, wire: FaultyWire, tmp_path: Path) -> None:
    source = write(tmp_path / "source", 12)
    await store.upload(source, "p/k", "audio/ogg")
    wire.cuts_after_bytes = [5 * MIB, MIB, 4 * MIB]
    await store.download("p/k", tmp_path / "copy")
    assert wire.cuts_after_bytes == []
    assert md5(tmp_path / "copy") == md5(source)


async def test_a_download_that_never_gets_further_ends(store: ObjectStore, wire: FaultyWire, tmp_path: Path) -> None:
    await store.put("p/k", BLOCK, MIB, "audio/ogg")
    wire.cuts_after_bytes = [1000] * 100
    with pytest.raises(ObjectStoreUnavailable):
        await store.read("p/k", 0, MIB)
    wire.cuts_after_bytes = [100] * 100
    with pytest.raises(ObjectStoreUnavailable):
        await store.download("p/k", tmp_path / "copy")
    assert names(tmp_path) == []


@pytest.mark.parametrize("size_bytes", [100_000, 1_000_000])
async def test_bytes_damaged_on_the_way_are_noticed(store: ObjectStore, wire: FaultyWire, size_bytes: int) -> None:
    content = os.urandom(size_bytes - 9) + b"UNDAMAGED"

    async def stream() -> AsyncIterator[bytes]:
        yield content

    wire.damage = (b"UNDAMAGED", b"undamaged")
    if size_bytes > 256 * 1024:  # streamed: it cannot be sent again, and what arrived is taken back
        with pytest.raises(ObjectStoreUnavailable, match="MD5"):
            await store.put("p/k", stream(), size_bytes, "audio/ogg")
        assert await store.stat("p/k") is None
    else:  # gathered: the store refuses it and it is sent again
        await store.put("p/k", stream(), size_bytes, "audio/ogg")
        assert await store.read("p/k", 0, size_bytes) == content
    assert wire.damage is None


async def test_a_file_damaged_on_the_way_is_noticed(store: ObjectStore, wire: FaultyWire, tmp_path: Path) -> None:
    source = write(tmp_path / "source", 18, b"UNDAMAGED")
    wire.damage = (b"UNDAMAGED", b"undamaged")
    with pytest.raises(ObjectStoreUnavailable):
        await store.upload(source, "p/k", "audio/ogg")
    assert await store.stat("p/k") is None
    assert wire.damage is None
