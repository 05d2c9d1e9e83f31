"""An object store that takes everything and keeps nothing: what is left of a PUT is the cost of its caller.

`python -m bench.s3_sink PORT`. It answers PUT with the MD5 that an S3 store would give and the CRC-32 that it was sent, HEAD and
GET with success and nothing.
"""

import asyncio
import hashlib
import sys
from typing import cast

import uvloop


class Sink(asyncio.Protocol):
    """One connection; requests come one after the other, each with its length."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            original = bytes(self._buffer[:end])
            head = original.lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._buffer) < end + 4 + length:
                return
            body = memoryview(self._buffer)[end + 4 : end + 4 + length]
            crc32 = (
                original[head.find(b"x-amz-checksum-crc32:") :].partition(b"\r\n")[0] if b"x-amz-checksum-crc32:" in head else b""
            )
            self._answer(hashlib.md5(body, usedforsecurity=False).hexdigest() if head.startswith(b"put") else "none", crc32)
            body.release()
            del self._buffer[: end + 4 + length]

    def _answer(self, etag: str, line: bytes) -> None:
        assert self._transport is not None
        repeated = line + b"\r\n" if line else b""
        self._transport.write(f'HTTP/1.1 200 OK\r\nETag: "{etag}"\r\nContent-Length: 0\r\n'.encode() + repeated + b"\r\n")


async def main() -> None:
    """Serve until terminated."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
