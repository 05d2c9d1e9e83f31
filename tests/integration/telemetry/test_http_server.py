"""The HTTP server against clients that are slow, greedy or wrong, over raw sockets."""

import asyncio

import msgspec
import pytest

from shared import http_server
from shared.http_server import HEAD_LIMIT_BYTES, HttpServer
from tests.integration.telemetry.raw_http import DEADLINE_S, Client, echo_length


async def test_requests_follow_each_other_on_one_connection(client):
    for length in (0, 5, 300_000):
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length + bytes(length))
        assert (await client.answer())[1] == str(length).encode()


async def test_pipelined_requests_are_all_answered(client):
    await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" * 5)
    assert [(await client.answer())[1] for _ in range(5)] == [b"3"] * 5


OFFERS = [
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",  # Java's own client
    b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n",
    b"Upgrade: TLS/1.0\r\nConnection: upgrade\r\nExpect: nothing\r\n",
]
BODIES = [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("offer", OFFERS)
async def test_a_request_that_offers_another_protocol_is_served_with_its_body_as_if_it_had_not(client, offer, body):
    request = b"POST /x HTTP/1.1\r\nHost: x\r\n" + offer + body
    for piece in (request[:20], request[20 : request.index(b"\r\n\r\n") + 4], request[request.index(b"\r\n\r\n") + 4 :]):
        await client.send(piece)
        await asyncio.sleep(0.01)
    head, answer = await client.answer()
    assert (head[:13], answer) == (b"HTTP/1.1 200 ", b"5")
    await client.send(request * 3 + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [(await client.answer())[1] for _ in range(4)] == [b"5", b"5", b"5", b"0"]


async def test_a_request_that_offers_another_protocol_may_be_the_last_of_its_connection(client):
    offer = b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"
    await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\n" + offer + BODIES[0])
    head, answer = await client.answer()
    assert (b"connection: close" in head, answer) == (True, b"5")
    assert await client.closed() == b""


async def test_a_head_that_never_ends_is_refused_when_it_is_too_large(client):
    await client.send(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * HEAD_LIMIT_BYTES)
    head, body = await client.answer()
    assert head.startswith(b"HTTP/1.1 431 ")
    assert msgspec.json.decode(body)["error"]["code"] == "headers_too_large"
    await client.closed()


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\x16\x03\x01 hello\r\n\r\n", "Invalid method encountered"),
        (b"PUT /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", "Duplicate Content-Length"),
        (b"GET / HTTP/1.1\nHost: a\n\n", "Expected CRLF"),
    ],
)
async def test_what_is_not_http_is_refused_in_the_error_envelope_with_the_reason(client, sent, reason):
    await client.send(sent)
    head, body = await client.answer()
    error = msgspec.json.decode(body)["error"]
    assert head.startswith(b"HTTP/1.1 400 ")
    assert error["code"] == "invalid_request"
    assert reason in error["message"]
    assert f"x-request-id: {error['request_id']}".encode() in head


@pytest.mark.parametrize("begin", [b"", b"GET / HTTP/1.1\r\nHost:", b"\r\n\r\n"])
async def test_a_head_that_does_not_come_in_time_closes_the_connection(client, monkeypatch, begin):
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.05)
    await client.send(begin)
    assert await client.closed() == b""


async def test_a_client_that_sends_its_next_head_byte_by_byte_is_left(client, monkeypatch):
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.answer()
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.3)

    async def drip() -> None:
        await client.send(b"GET / HTTP/1.1\r\nX-Slow: ")
        while not client.writer.is_closing():
            await client.send(b"a")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    await client.closed()
    dripping.cancel()
    await asyncio.wait({dripping})


async def test_a_body_that_stops_coming_closes_the_connection(client, monkeypatch):
    monkeypatch.setattr(http_server, "BODY_IDLE_TIMEOUT_S", 0.05)
    await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\npart")
    assert await client.closed() == b""


async def test_a_slow_body_that_keeps_coming_is_waited_for(client, server, monkeypatch):
    monkeypatch.setattr(http_server, "BODY_IDLE_TIMEOUT_S", 1.5)
    await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n")
    for _ in range(20):  # longer than it may be silent
        await client.send(b"a")
        await asyncio.sleep(0.1)
        monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.05)
    assert (await client.answer())[1] == b"20"


async def test_an_idle_connection_between_requests_is_kept(client, server, monkeypatch):
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await client.answer()
    monkeypatch.setattr(http_server, "HEAD_TIMEOUT_S", 0.0)
    monkeypatch.setattr(http_server, "BODY_IDLE_TIMEOUT_S", 0.0)
    for _ in range(10):  # the sweeps that would have closed it
        await server.on_tick(0)
    monkeypatch.undo()
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[1] == b"0"


async def test_an_answer_given_before_the_body_came_leaves_the_connection_usable(client):
    await client.send(b"PUT /early HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
    assert (await client.answer())[1] == b"0"
    await client.send(bytes(200_000) + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await client.answer())[1] == b"0"


async def test_a_body_is_handed_on_as_it_comes_and_after_its_end_only_the_clients_leaving():
    heard = asyncio.Queue()

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await echo_length(scope, receive, send)
            return
        while (message := await receive())["type"] != "http.disconnect":
            heard.put_nowait((message["body"], message["more_body"]))
        heard.put_nowait(None)

    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    client = Client(*await asyncio.open_connection("127.0.0.1", server.port))
    await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        for piece, more in ((b"abc", True), (b"def", False)):
            await client.send(piece)
            assert await heard.get() == (piece, more)
        await asyncio.sleep(0)
        assert heard.empty()
        client.writer.close()
        assert await heard.get() is None
    await server.drain(DEADLINE_S)


async def test_an_application_that_cannot_start_is_an_error_and_no_exit():
    async def broken(_scope, _receive, _send) -> None:
        raise ConnectionError

    server = HttpServer(broken, "127.0.0.1", 0)
    with pytest.raises(RuntimeError, match="did not start"):
        await server.start()
    assert await server.drain(1)


async def test_a_taken_port_is_an_error(server):
    with pytest.raises(OSError, match="in use"):
        HttpServer(echo_length, "127.0.0.1", server.port)


async def endless(scope, receive, send) -> None:
    """Answer for as long as the client is there, and note that it has gone."""
    if scope["type"] == "lifespan":
        await echo_length(scope, receive, send)
        return
    await receive()
    leaving = asyncio.create_task(receive())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not leaving.done():
        await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
        await asyncio.sleep(0)
    scope["state"]["left"].set()


@pytest.mark.parametrize("reads", [False, True])
async def test_a_client_that_does_not_read_its_answer_is_left(monkeypatch, reads):
    monkeypatch.setattr(http_server, "ANSWER_IDLE_TIMEOUT_S", 1.5)
    left = asyncio.Event()

    async def app(scope, receive, send):
        await endless({**scope, "state": {"left": left}}, receive, send)

    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    try:
        if reads:
            ends = asyncio.get_running_loop().time() + 3
            while asyncio.get_running_loop().time() < ends:
                await reader.read(1_000_000)
            assert not left.is_set()
        else:
            await asyncio.wait_for(left.wait(), DEADLINE_S)
    finally:
        writer.transport.abort()
        await server.drain(DEADLINE_S)
