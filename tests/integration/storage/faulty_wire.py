"""A TCP relay in front of a real store, for faults on the way: cut connections, damaged bytes, silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class FaultyWire:
    """Relays to `upstream`; each fault happens once per time it is asked for, on the bytes that pass."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self._open: set[asyncio.StreamWriter] = set()
        self.endpoint = ""
        self.cuts_after_bytes: list[int] = []  # answers end after so many bytes, one connection each
        self.damage: tuple[bytes, bytes] | None = None  # what requests carry, and what arrives instead
        self.connections = 0

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client."""
        self.connections += 1
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        self._open |= {writer, up_writer}
        try:
            await asyncio.gather(self._requests(reader, up_writer), self._answers(up_reader, writer))
        except OSError:
            pass
        finally:
            self._open -= {writer, up_writer}
            up_writer.close()
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            if self.damage is not None and self.damage[0] in data:
                data, self.damage = data.replace(*self.damage), None
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await reader.read(1 << 16):
            limit = self.cuts_after_bytes[0] if self.cuts_after_bytes else None
            if limit is not None and passed + len(data) > limit:
                self.cuts_after_bytes.pop(0)
                writer.write(data[: limit - passed])
                writer.close()
                return
            passed += len(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    def cut_all(self) -> None:
        """Break every connection that is open."""
        for writer in self._open:
            writer.transport.abort()


@asynccontextmanager
async def faulty_wire(upstream: str) -> AsyncIterator[FaultyWire]:
    """Listen on a free loopback port while the block runs."""
    wire = FaultyWire(upstream)
    server = await asyncio.start_server(wire.relay, "127.0.0.1", 0)
    wire.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        server.close()
        wire.cut_all()
