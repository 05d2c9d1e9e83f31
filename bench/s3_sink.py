"""An object store that takes everything and keeps nothing: what is left of a PUT is the cost of its caller.

`python -m bench.s3_sink PORT`. It answers PUT with the CRC-32 that it was sent and an ETag that is no digest, HEAD and GET with
success and nothing. Of a body it looks at nothing but the length: what a real store does with it (hashing, writing) costs that
store, and shows in the other figure of the benchmark.
"""

import asyncio
import sys
from typing import cast

import uvloop

_CRC32 = b"x-amz-checksum-crc32:"


class Sink(asyncio.Protocol):
    """One connection; requests come one after the other, each with its length."""

    def __init__(self) -> None:
        self._head = b""
        self._missing = 0  # bytes of a body that have yet to come
        self._answer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        while data:
            if self._missing:
                taken = min(self._missing, len(data))
                self._missing -= taken
                data = data[taken:]
            else:
                data = self._begin(data)
            if self._answer and not self._missing:
                assert self._transport is not None
                self._transport.write(self._answer)
                self._answer = b""

    def _begin(self, data: bytes) -> bytes:
        """Read a head; return what came after it."""
        self._head += data
        original, found, rest = self._head.partition(b"\r\n\r\n")
        if not found:
            return b""
        self._head = b""
        head = original.lower()
        self._missing = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        crc32 = original[head.find(_CRC32) :].partition(b"\r\n")[0] + b"\r\n" if _CRC32 in head else b""
        self._answer = b'HTTP/1.1 200 OK\r\nETag: "dropped"\r\nContent-Length: 0\r\n' + crc32 + b"\r\n"
        return rest


async def main() -> None:
    """Serve until terminated."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
