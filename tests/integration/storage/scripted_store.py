"""A store over TCP that answers each PUT by script: what a real one does only on a bad day."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.settings import S3Settings

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ScriptedStore:
    """Takes every request whole and confirms it, unless `faults` says what to do with the next one instead."""

    def __init__(self):
        self.faults = []  # coroutine functions of (store, stream, head), one for each request; True: the connection goes on
        self.always = None  # such a fault for every request
        self.connections = 0
        self.requests = []  # (method, path, body) of those taken whole
        self.settings = None

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while await self._one((reader, writer)):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _one(self, stream):
        head = await stream[0].readuntil(b"\r\n\r\n")
        fault = self.faults.pop(0) if self.faults else self.always
        if fault is not None:
            return await fault(self, stream, head)
        body = await self.take(stream, head)
        self.answer(stream, etag=hashlib.md5(body).hexdigest())
        return True

    async def take(self, stream, head):
        """Read the body and note the request."""
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        body = await stream[0].readexactly(length)
        method, path, _ = head.decode().split(" ", 2)
        self.requests.append((method, path, body))
        return body

    def answer(self, stream, status="200 OK", *, etag="", body=b"", head=""):
        """Answer once."""
        tag = f'ETag: "{etag}"\r\n' if etag else ""
        stream[1].write(f"HTTP/1.1 {status}\r\n{tag}{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


@asynccontextmanager
async def scripted_store() -> AsyncIterator[ScriptedStore]:
    """Listen on a free loopback port while the block runs."""
    store = ScriptedStore()
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    store.settings = S3Settings(s3_endpoint=endpoint, s3_access_key="key", s3_secret_key="secret", s3_bucket="bucket")
    try:
        yield store
    finally:
        server.close()
