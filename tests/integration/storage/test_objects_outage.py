"""The store goes away and comes back: never a wrong answer in between, and no restart of ours afterwards."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from deploy.local.servers.seaweedfs import SeaweedServer
from shared.settings import S3Settings
from shared.storage.objects import ObjectStore, ObjectStoreUnavailable
from tests.integration.storage.faulty_wire import FaultyWire, faulty_wire
from tests.processes import suspend
from tests.servers import PrivateServers, settings_of


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """A store to be killed and frozen; each test leaves it running."""
    servers = PrivateServers(tmp_path_factory.mktemp("outage"))
    yield servers.s3()
    servers.close()


@pytest.fixture
async def store(server: SeaweedServer) -> AsyncIterator[ObjectStore]:
    store = ObjectStore(settings_of(server))
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
async def wire(object_store_settings: S3Settings) -> AsyncIterator[FaultyWire]:
    async with faulty_wire(object_store_settings.s3_endpoint) as wire:
        yield wire


@pytest.fixture
async def wired_store(object_store_settings: S3Settings, wire: FaultyWire) -> AsyncIterator[ObjectStore]:
    store = ObjectStore(msgspec.structs.replace(object_store_settings, s3_endpoint=wire.endpoint))
    await store.start()
    yield store
    await store.stop()


async def stream(size_bytes: int) -> AsyncIterator[bytes]:
    for _ in range(size_bytes // 100_000):
        yield b"x" * 100_000


async def test_an_outage_is_reported_and_then_over(server: SeaweedServer, store: ObjectStore) -> None:
    await asyncio.gather(*(store.put(f"p/{number}", b"x", 1, "audio/ogg") for number in range(16)))  # a pool of connections
    server.kill()
    outcomes = await asyncio.gather(
        store.stat("p/1"),
        store.read("p/1", 0, 1),
        store.list("p/"),
        store.delete(["p/none"]),
        store.put("p/2", b"x", 1, "audio/ogg"),
        store.put("p/2", stream(1_000_000), 1_000_000, "audio/ogg"),
        store.check(),
        store.ensure_bucket(),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [ObjectStoreUnavailable] * len(outcomes)
    await asyncio.to_thread(server.start)
    await store.put("p/2", stream(1_000_000), 1_000_000, "audio/ogg")
    assert await store.read("p/2", 999_999, 10) == b"x"
    await store.check()


async def test_a_short_absence_is_waited_for(server: SeaweedServer, store: ObjectStore) -> None:
    await store.put("p/3", b"x", 1, "audio/ogg")
    assert server.child.pid is not None
    suspend(server.child.pid)
    try:
        reading = asyncio.create_task(store.read("p/3", 0, 1))
        began = time.monotonic()
        with pytest.raises(ObjectStoreUnavailable):
            await store.check()
        assert time.monotonic() - began < 10  # a readiness probe does not hang with the store, even on a busy machine
    finally:
        os.kill(server.child.pid, signal.SIGCONT)
    assert await reading == b"x"


async def test_a_connection_that_breaks_in_mid_stream_stores_nothing(wired_store: ObjectStore, wire: FaultyWire) -> None:
    async def cut_in_the_middle() -> AsyncIterator[bytes]:
        async for piece in stream(5_000_000):
            yield piece
        wire.cut_all()
        async for piece in stream(5_000_000):
            yield piece

    with pytest.raises(ObjectStoreUnavailable):
        await wired_store.put("outage/cut", cut_in_the_middle(), 10_000_000, "audio/ogg")
    assert await wired_store.stat("outage/cut") is None


async def test_connections_that_broke_while_idle_go_unnoticed(wired_store: ObjectStore, wire: FaultyWire) -> None:
    for _ in range(3):
        await wired_store.put("outage/idle", b"x", 1, "audio/ogg")
        wire.cut_all()
    assert wire.connections >= 3
