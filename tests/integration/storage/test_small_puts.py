"""Chunks on their way into the store: confirmed, sent again, or refused as unavailable; never taken for stored wrongly."""

import asyncio
import base64
import os
import secrets
import zlib

import pytest

from shared.storage import s3_connection
from shared.storage.objects import ObjectStore, ObjectStoreRefused, ObjectStoreUnavailable
from shared.storage.s3_connection import request_head
from shared.storage.s3_wire import WireLimits, Wires
from tests.integration.storage.scripted_store import scripted_store

LIMITS = WireLimits(connections=2, connect_s=5, answer_s=5, idle_s=5)
CHUNK = os.urandom(131_072)
HEAD = request_head("PUT /bucket/key", {"Host": "store", "Content-Length": str(len(CHUNK))})


@pytest.fixture
def wires(server):
    wires = Wires(server.settings.s3_endpoint, LIMITS)
    yield wires
    wires.stop()


async def put(store, content=CHUNK):
    return await store.put("p/r/chunks/000001", content, len(content), "audio/ogg")


async def resets(_server, stream, _head):
    await stream[0].readexactly(10_000)  # in the middle of the body
    stream[1].transport.abort()


async def closes_after_answering(server, stream, head):
    await server.take(stream, head)
    server.answer(stream, etag="")


async def stays_silent(server, stream, head):
    await server.take(stream, head)
    await stream[0].read()


async def is_busy(server, stream, head):
    await server.take(stream, head)
    server.answer(stream, "503 Slow Down", body=b"<Error><Code>SlowDown</Code></Error>")
    return True


async def refuses_unread(server, stream, head):
    server.answer(stream, "403 Forbidden", body=b"<Error><Code>AccessDenied</Code></Error>")
    await stream[1].drain()
    await server.take(stream, head)
    return True


async def says_something_first(server, stream, head):
    stream[1].write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    body = await server.take(stream, head)
    server.answer(stream, etag=secrets.token_hex(4), body=b"", head=f"x-length: {len(body)}\r\n")
    return True


async def confirms_something_else(server, stream, head):
    await server.take(stream, head)
    server.answer(stream, etag="0" * 32)
    return True


async def compares_crc32(server, stream, head):
    sums = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.decode().split("\r\n"))}
    body = await server.take(stream, head)
    crc32 = base64.b64encode(zlib.crc32(body).to_bytes(4)).decode()
    assert sums["x-amz-checksum-crc32"] == crc32
    server.answer(stream, etag="made by other rules", head=f"x-amz-checksum-crc32: {crc32}\r\n")
    server.sums.append(sorted(sums.keys() & {"content-md5", "x-amz-checksum-crc32"}))
    return True


async def is_no_store(server, stream, head):
    await server.take(stream, head)
    stream[1].write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await stream[0].read()


async def test_one_connection_carries_chunk_after_chunk(server, store):
    for _ in range(5):
        await put(store)
    assert server.connections == 1
    assert [body for _, _, body in server.requests] == [CHUNK] * 5
    assert server.requests[0][:2] == ("PUT", "/bucket/p/r/chunks/000001")


async def test_chunks_at_the_same_moment_do_not_mix(server, store):
    contents = [bytes([number]) * (1000 * number + 1) for number in range(40)]
    await asyncio.gather(*(store.put(f"p/{number}", content, len(content), "x/y") for number, content in enumerate(contents)))
    assert {path: body for _, path, body in server.requests} == {f"/bucket/p/{n}": content for n, content in enumerate(contents)}


async def test_a_store_that_compares_crc32_is_sent_no_md5_any_more(server, store):
    server.sums, server.always = [], compares_crc32
    for _ in range(3):
        await put(store)
    assert server.sums == [["content-md5", "x-amz-checksum-crc32"], ["x-amz-checksum-crc32"], ["x-amz-checksum-crc32"]]


async def test_a_store_that_stops_comparing_is_held_against_its_etag_at_once(server, store):
    server.sums, server.faults = [], [compares_crc32]
    await put(store)
    server.always = confirms_something_else
    with pytest.raises(ObjectStoreUnavailable, match="MD5"):
        await put(store)


@pytest.mark.parametrize("fault", [resets, is_busy])
async def test_a_fault_that_passes_is_not_noticed(server, store, fault):
    server.faults = [fault]
    await put(store)
    assert server.requests[-1][2] == CHUNK


@pytest.mark.parametrize("fault", [resets, is_busy, is_no_store])
async def test_a_fault_that_stays_is_an_unavailable_store(server, store, fault):
    server.always = fault
    with pytest.raises(ObjectStoreUnavailable):
        await put(store)


async def test_where_nothing_listens_the_store_is_unavailable(server, store):
    async with scripted_store() as gone:
        pass
    absent = ObjectStore(gone.settings)
    await absent.start()
    with pytest.raises(ObjectStoreUnavailable):
        await put(absent)
    await absent.stop()


async def test_a_store_that_closes_kept_connections_is_reached_anew(server, store):
    server.faults = [closes_after_answering] * 3
    for _ in range(4):
        await put(store)
    assert len(server.requests) == 4


async def test_a_refusal_before_the_body_was_read_is_a_refusal(server, store):
    server.faults = [refuses_unread]
    with pytest.raises(ObjectStoreRefused, match="AccessDenied"):
        await put(store)
    await put(store)


async def test_a_chunk_that_the_store_holds_otherwise_is_removed_and_not_confirmed(server, store):
    server.faults = [confirms_something_else]
    with pytest.raises(ObjectStoreUnavailable, match="MD5"):
        await put(store)
    assert [method for method, _, _ in server.requests] == ["PUT", "DELETE"]


async def test_interim_answers_are_passed_over(server, wires):
    server.faults = [says_something_first]
    answer = await wires.exchange(HEAD, CHUNK)
    assert (answer.status, answer.headers["X-Length"]) == (200, str(len(CHUNK)))


async def test_a_silent_store_is_not_waited_for_beyond_the_limit(server):
    wires = Wires(server.settings.s3_endpoint, WireLimits(connections=2, connect_s=5, answer_s=1.0, idle_s=5))
    server.faults = [stays_silent]
    with pytest.raises(TimeoutError):
        await wires.exchange(HEAD, CHUNK)
    assert (await wires.exchange(HEAD, CHUNK)).status == 200
    assert server.connections == 2  # a late answer must not meet another request
    wires.stop()


async def test_a_store_that_was_silent_to_the_end_is_not_asked_again(server, monkeypatch):
    monkeypatch.setattr(s3_connection, "SILENCE_S", 0.2)
    store = ObjectStore(server.settings)
    await store.start()
    server.always = stays_silent
    with pytest.raises(ObjectStoreUnavailable):
        await put(store)
    assert len(server.requests) == 1
    await store.stop()


async def test_who_goes_away_takes_only_its_own_connection(server, wires):
    server.faults = [stays_silent]
    gone = asyncio.create_task(wires.exchange(HEAD, CHUNK))
    async with asyncio.timeout(60):
        while not server.requests:
            await asyncio.sleep(0)
    staying = asyncio.create_task(wires.exchange(HEAD, CHUNK))
    gone.cancel()
    assert (await staying).status == 200
    assert (await wires.exchange(HEAD, CHUNK)).status == 200
    assert server.connections == 2


async def test_no_more_connections_are_opened_than_allowed(server, wires):
    answers = await asyncio.gather(*(wires.exchange(HEAD, CHUNK) for _ in range(20)))
    assert [answer.status for answer in answers] == [200] * 20
    assert server.connections == 2


async def test_stopping_ends_what_is_in_flight(server, wires):
    server.always = stays_silent
    waiting = asyncio.create_task(wires.exchange(HEAD, CHUNK))
    async with asyncio.timeout(60):
        while not server.requests:
            await asyncio.sleep(0)
    wires.stop()
    with pytest.raises(ConnectionError):
        await waiting
    with pytest.raises(ConnectionError):
        await wires.exchange(HEAD, CHUNK)


def test_a_header_cannot_end_its_line():
    with pytest.raises(ValueError, match="line break"):
        request_head("PUT /x", {"Content-Type": "a\r\nx-amz-acl: public-read"})
