"""A load of identical HTTP requests over kept connections: raw sockets, so that the client costs little beside the server."""

import asyncio
import re
import time
from collections.abc import Sequence
from functools import partial
from typing import cast
from urllib.parse import urlsplit

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")

UNLIMITED = {
    "EARWITNESS_REQUESTS_PER_SECOND": "1000000000",
    "EARWITNESS_REQUESTS_PER_MINUTE": "1000000000",
    "EARWITNESS_UPLOAD_URLS_PER_MINUTE": "1000000000",
    "EARWITNESS_TRANSCRIPTIONS_PER_MINUTE": "1000000000",
}
"""Settings under which the API counts requests as ever and refuses none."""


class RequestFailed(Exception):
    """The server answered with something else than 2xx."""


def put_request(url: str, body: bytes, content_type: str = "audio/ogg") -> bytes:
    """Return the bytes of one PUT."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = f"PUT {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def json_request(method: str, url: str, key: str, body: bytes = b"") -> bytes:
    """Return the bytes of a request with a key, with JSON in it unless it is a GET."""
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = f"{method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{head}{kind}\r\n".encode() + body


async def requests_per_second(host: str, port: int, requests: Sequence[bytes], connections: int) -> float:
    """Send `requests`, spread over so many connections, each waiting for its answer before its next; return the rate."""
    loop = asyncio.get_running_loop()
    share = [partial(_Lane, requests[number::connections]) for number in range(connections)]
    lanes = [(await loop.create_connection(lane, host, port))[1] for lane in share]
    began = time.perf_counter()
    for lane in lanes:
        lane.send_next()
    await asyncio.gather(*(lane.answered for lane in lanes))
    elapsed_s = time.perf_counter() - began
    for lane in lanes:
        lane.close()
    return len(requests) / elapsed_s


class _Lane(asyncio.Protocol):
    """One connection, one request under way; `answered` is done when all were."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._waiting = iter(requests)
        self._transport: asyncio.Transport | None = None
        self._came, self._whole = b"", 0  # of the answer that is coming; 0 while its head is not there
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def close(self) -> None:
        """Leave."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        came = self._came = self._came + data if self._came else data
        if not self._whole:
            self._whole = _length_of(came)
        if 0 < self._whole <= len(came):
            if came.startswith(b"HTTP/1.1 2"):
                self._came, self._whole = b"", 0
                self.send_next()
            else:
                self._fail(RequestFailed(came.decode(errors="replace")))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or RequestFailed("the server closed the connection"))

    def send_next(self) -> None:
        """Send the next request, if there is one."""
        request = next(self._waiting, None)
        if request is not None and self._transport is not None:
            self._transport.write(request)
        elif not self.answered.done():
            self.answered.set_result(None)

    def _fail(self, failure: Exception) -> None:
        if not self.answered.done():
            self.answered.set_exception(failure)


def _length_of(answer: bytes) -> int:
    """Return how long the answer is, head and body, or 0 while its head is not whole."""
    head, end, _ = answer.partition(_END_OF_HEAD)
    told = _LENGTH.search(head)
    return len(head) + len(end) + (int(told[1]) if told else 0) if end else 0
