"""The HTTP server against what clients send around bodies, behind requests, and instead of them; over raw sockets."""

import asyncio

import msgspec
import pytest

from shared import http_server
from shared.http_server import HEAD_LIMIT_BYTES, GuardedHttp, HttpServer
from tests.integration.telemetry.raw_http import DEADLINE_S, Client, connected, echo_length

IN_CHUNKS = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


@pytest.mark.parametrize(
    "rest",
    [
        b"0\r\n" + b"".join(b"X-Trailer-%d: %s\r\n" % (number, b"a" * 1000) for number in range(65)),
        b"0\r\nX-Trailer: " + b"a" * HEAD_LIMIT_BYTES,
        b"3;extension=" + b"a" * HEAD_LIMIT_BYTES,
    ],
)
async def test_what_never_ends_around_a_body_in_chunks_is_refused_when_it_is_too_large(client, rest):
    await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
    await client.reader.readuntil(b"\r\n\r\n")
    await client.send(rest)
    head, body = await client.answer()
    assert head.startswith(b"HTTP/1.1 431 ")
    assert msgspec.json.decode(body)["error"]["code"] == "headers_too_large"
    await client.closed()


async def test_a_body_in_many_small_chunks_may_be_longer_than_a_head(client):
    await client.send(IN_CHUNKS + b"1;x=y\r\na\r\n" * 20_000 + b"0\r\nX-Trailer: a\r\n\r\n")
    assert (await client.answer())[1] == b"20003"


async def test_trailers_without_end_after_the_answer_end_the_connection_without_another(client):
    await client.send(IN_CHUNKS.replace(b"/ ", b"/early ", 1))
    assert (await client.answer())[1] == b"0"
    await client.send(b"0\r\nX-Trailer: " + b"a" * HEAD_LIMIT_BYTES)
    assert await client.closed() == b""


async def test_headers_come_without_blanks_around_them_and_trailers_are_none():
    heads = []

    async def app(scope, receive, send):
        await echo_length(scope, receive, send)
        heads.append(scope.get("headers"))

    async with connected(app) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost:\tx \t\r\nContent-Length: 3 \r\n\r\nabc")
        assert (await client.answer())[1] == b"3"
        await client.send(IN_CHUNKS + b"0\r\nAuthorization: Bearer x\r\nX-Last: 3\r\n\r\n")
        assert (await client.answer())[1] == b"3"
        await client.send(b"GET / HTTP/1.1\r\nHost: next\r\n\r\n")
        await client.answer()
    assert heads[:3] == [
        [(b"host", b"x"), (b"content-length", b"3")],
        [(b"host", b"x"), (b"transfer-encoding", b"chunked")],
        [(b"host", b"next")],
    ]


@pytest.mark.parametrize("part", [b"", b"part"])
async def test_a_body_that_nobody_waits_for_any_more_may_not_stop_coming_either(client, monkeypatch, part):
    await client.send(b"PUT /early HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
    assert (await client.answer())[1] == b"0"
    monkeypatch.setattr(http_server, "BODY_IDLE_TIMEOUT_S", 0.05)
    await client.send(part)
    assert await client.closed() == b""


async def test_a_request_hears_that_its_client_has_left_though_others_wait_behind_it():
    served = asyncio.Queue()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await echo_length(scope, receive, send)
            return
        served.put_nowait(scope["path"])
        while (await receive())["type"] != "http.disconnect":
            pass
        served.put_nowait("left")

    async with connected(app) as client, asyncio.timeout(DEADLINE_S):
        await client.send(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /2 HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        assert await served.get() == "/1"
        client.writer.close()
        assert await served.get() == "left"
    assert served.empty()


async def test_blank_lines_behind_a_request_that_is_still_answered_do_not_end_it(monkeypatch):
    begins, came, ends = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Watched(GuardedHttp):
        def data_received(self, data):
            super().data_received(data)
            came.set()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            begins.set()
            await ends.wait()
        await echo_length(scope, receive, send)

    monkeypatch.setattr(http_server, "GuardedHttp", Watched)
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.0)
    async with asyncio.timeout(DEADLINE_S):
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
        await begins.wait()
        came.clear()
        await client.send(b"\r\n")
        await came.wait()
        await server.on_tick(0)
        ends.set()
        assert (await client.answer())[1] == b"2"
    client.writer.close()
    assert await server.drain(DEADLINE_S)


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("waiting", [0, 2])
@pytest.mark.parametrize("refused", [b"more than announced\r\n\r\n", b"\rmore"])
async def test_what_is_refused_is_answered_after_the_requests_before_it(begun, waiting, refused):
    begins, ends = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await echo_length(scope, receive, send)
            return
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
            await send({"type": "http.response.body", "body": b"fi", "more_body": True})
        begins.set()
        await ends.wait()
        if not begun:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"rs" if begun else b"firs"})

    async with connected(app) as client, asyncio.timeout(DEADLINE_S):
        request = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
        await client.send(request * (1 + waiting) + refused)
        await begins.wait()
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        ends.set()
        for _ in range(1 + waiting):
            assert (await client.answer())[1] == b"firs"
        assert (await client.answer())[0].startswith(b"HTTP/1.1 4")
        assert await client.closed() == b""


async def test_a_body_that_breaks_off_its_chunks_after_the_answer_began_is_not_answered_again(client):
    await client.send(IN_CHUNKS.replace(b"/ ", b"/early ", 1))
    assert (await client.answer())[1] == b"0"
    await client.send(b"no length\r\n")
    assert await client.closed() == b""
