"""A load of identical HTTP requests over kept connections: raw sockets, so that the client costs little beside the server."""

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

_HEAD_LIMIT = 1 << 16

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
    lanes = [requests[number::connections] for number in range(connections)]
    opened = [await asyncio.open_connection(host, port, limit=_HEAD_LIMIT) for _ in lanes]
    began = time.perf_counter()
    await asyncio.gather(*(_lane(*streams, lane) for streams, lane in zip(opened, lanes, strict=True)))
    elapsed_s = time.perf_counter() - began
    for _, writer in opened:
        writer.close()
    return len(requests) / elapsed_s


async def _lane(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Sequence[bytes]) -> None:
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 2"):
            raise RequestFailed(f"{head.decode(errors='replace')}{body.decode(errors='replace')}")
