"""What goes out over the wire, against what uvicorn by itself would send for the same application."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from shared.http_answer import Answer
from shared.http_body import RequestBody
from shared.http_server import HttpServer

DEADLINE_S = 60
HOST = "127.0.0.1"
TEXT = (b"content-type", b"text/plain")
LARGE = b"0123456789" * 100_000


def start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, object]:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(content: bytes, *, more: bool = False) -> dict[str, object]:
    return {"type": "http.response.body", "body": content, "more_body": more}


def length(count: int) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % count)


ANSWERS = {
    "/whole": [start(200, TEXT, length(5)), body(b"hello")],
    "/created": [start(201, length(2), (b"x-request-id", b"req_1"), (b"location", b"/v1/here")), body(b"{}")],
    "/large": [start(200, length(len(LARGE))), body(LARGE)],
    "/empty": [start(200, length(0)), body(b"")],
    "/no-body-key": [start(200, length(0)), {"type": "http.response.body"}],
    "/nothing": [start(204), body(b"")],
    "/unchanged": [start(304, length(5)), body(b"")],
    "/no-length": [start(200, TEXT), body(b"hello")],
    "/pieces": [start(200, TEXT), body(b"hel", more=True), body(b"lo", more=True), body(b"")],
    "/pieces-with-length": [start(200, length(5)), body(b"hel", more=True), body(b"lo")],
    "/closing": [start(400, length(2), (b"connection", b"close")), body(b"no")],
    "/chunked-by-name": [start(200, (b"transfer-encoding", b"chunked")), body(b"hello")],
    "/unknown-status": [start(499, length(4)), body(b"gone")],
    "/too-short": [start(200, length(9)), body(b"short")],
}
BROKEN = {
    "/breaks-off": [start(200, length(5))],
    "/breaks-off-in-pieces": [start(200), body(b"hel", more=True)],
    "/split-header": [start(200, length(2), (b"x-name", b"a\r\nset-cookie: b")), body(b"ok")],
    "/header-with-zero": [start(200, length(2), (b"x-name", b"a\0b")), body(b"ok")],
}


async def app(scope, receive, send) -> None:
    """Send what is listed under the path, and break off after it if that is what it is for."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    for message in (ANSWERS | BROKEN)[scope["path"]]:
        await send(dict(message))
    if "breaks" in scope["path"]:
        raise RuntimeError("broken off on purpose")


@asynccontextmanager
async def plain_uvicorn() -> AsyncIterator[int]:
    """Serve the same by uvicorn as it comes."""
    server = uvicorn.Server(
        uvicorn.Config(app, host=HOST, port=0, http="httptools", log_config=None, access_log=False, server_header=False)
    )
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(DEADLINE_S):
        while not server.started:
            await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


@asynccontextmanager
async def ours() -> AsyncIterator[int]:
    server = HttpServer(app, HOST, 0)
    await server.start()
    yield server.port
    await server.drain(1)


async def exchange(port: int, request: bytes) -> bytes:
    """Send a request, or some, and return all that comes until the connection ends, but for the date."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    try:
        async with asyncio.timeout(DEADLINE_S):
            answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    writer.close()
    return without_dates(answer)


def without_dates(answer: bytes) -> bytes:
    return re.sub(rb"date: [^\r]+\r\n", b"", answer)


def last_request(method: str, path: str, version: str = "1.1") -> bytes:
    """Return a request after which the connection ends."""
    return f"{method} {path} HTTP/{version}\r\nHost: here\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("path", sorted(ANSWERS))
async def test_an_answer_is_to_the_byte_what_uvicorn_sends_by_itself(path: str) -> None:
    async with plain_uvicorn() as theirs, ours() as mine:
        for request in (last_request(method, path, version) for method in ("GET", "HEAD") for version in ("1.0", "1.1")):
            expected = await exchange(theirs, request)
            assert expected
            assert await exchange(mine, request) == expected


async def test_answers_over_one_connection_come_whole_and_in_order() -> None:
    paths = ["/whole", "/large", "/pieces", "/created", "/empty"]
    requests = [f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode() for path in paths]
    async with plain_uvicorn() as theirs, ours() as mine:
        together = b"".join(requests) + last_request("GET", "/nothing")
        assert await exchange(mine, together) == await exchange(theirs, together)


@pytest.mark.parametrize("path", sorted(BROKEN))
async def test_an_answer_that_breaks_off_ends_its_connection_and_looks_whole_to_nobody(path: str) -> None:
    async with ours() as port:
        answer = await exchange(port, f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        assert b"set-cookie" not in answer
        assert b"\0" not in answer
        assert not answer.endswith((b"ok", b"0\r\n\r\n"))
        assert await exchange(port, last_request("GET", "/whole")) == (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
        )


@pytest.mark.parametrize("path", ["/whole", "/pieces", "/nothing"])
async def test_what_a_request_was_kept_in_is_freed_with_its_answer_without_a_search_for_garbage(path: str) -> None:
    requests = f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode() * 20
    async with ours() as port:
        gc.collect()
        gc.disable()
        try:
            await exchange(port, requests + last_request("GET", path))
            kept = [one for one in gc.get_objects() if type(one) in (RequestResponseCycle, RequestBody, Answer)]
        finally:
            gc.enable()
    assert len(kept) <= 3  # those of the newest request, while its connection closes


async def test_a_head_leaves_with_the_first_piece_of_its_body_and_does_not_wait_for_the_next() -> None:
    may_go_on = asyncio.Event()

    async def slow(scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        await send(start(200, TEXT))
        await send(body(b"first", more=True))
        await may_go_on.wait()
        await send(body(b"second"))

    server = HttpServer(slow, HOST, 0)
    await server.start()
    reader, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    async with asyncio.timeout(DEADLINE_S):
        await reader.readuntil(b"first\r\n")
        may_go_on.set()
        assert b"second" in await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    await server.drain(1)
