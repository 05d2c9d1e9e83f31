"""Small exchanges over kept connections of our own: what a general HTTP client costs each, a chunk's intake cannot afford.

One request at a time on each connection; the body goes out in one write, unchanged. Every failure of the connection is a
`ConnectionError` (or another `OSError`, or a `TimeoutError`): the request may or may not have been carried out.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import cast
from urllib.parse import urlsplit

import httptools
import msgspec
from multidict import CIMultiDict

_LONGEST_ANSWER_BYTES = 8 * 1024 * 1024  # an error is a few hundred, a page of a listing half a MiB, of the longest keys 4
_FIRST_FINAL_STATUS = 200


class WireAnswer(msgspec.Struct, frozen=True):
    """An answer, read whole."""

    status: int
    headers: CIMultiDict[str]
    body: bytes


class WireLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections there may be and how long things may take, in seconds."""

    connections: int
    connect_s: float
    answer_s: float
    idle_s: float


class Wires:
    """Connections to one server, kept while they are used; asking more than `limits.connections` at once waits."""

    def __init__(self, origin: str, limits: WireLimits) -> None:
        parts = urlsplit(origin)
        self._host, self._secure = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._tls: ssl.SSLContext | None = None
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.connections)
        self._open: set[_Wire] = set()
        self._idle: list[_Wire] = []  # the last used comes first, so that the others can be closed
        self._stopped = False

    async def exchange(self, *request: bytes) -> WireAnswer:
        """Send one request, its head and the pieces of its body, and return its answer."""
        async with self._slots:
            wire = self._kept() or await self._connect()
            try:
                answer = await wire.exchange(request, self._limits.answer_s)
            except BaseException:
                wire.close()
                raise
            if wire.reusable:
                wire.idle_since = asyncio.get_running_loop().time()
                self._idle.append(wire)
            else:
                wire.close()
            return answer

    def stop(self) -> None:
        """Close every connection; requests in flight fail, later ones too."""
        self._stopped = True
        for wire in list(self._open):
            wire.close()

    def _kept(self) -> "_Wire | None":
        oldest = asyncio.get_running_loop().time() - self._limits.idle_s
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle[0].close()
            del self._idle[0]
        while self._idle:
            wire = self._idle.pop()
            if not wire.closed:
                return wire
        return None

    async def _connect(self) -> "_Wire":
        if self._stopped:
            raise ConnectionAbortedError("the connections are closed for good")
        if self._secure and self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)  # reads the system's certificates
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._limits.connect_s):
            _, wire = await loop.create_connection(lambda: _Wire(self._open.discard), self._host, self._port, ssl=self._tls)
        self._open.add(wire)
        return wire


class _Wire(asyncio.Protocol):
    """One connection, and the answer that is being read."""

    def __init__(self, on_lost: "Callable[[_Wire], None]") -> None:
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[WireAnswer] | None = None
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._body = b""
        self.closed = False
        self.reusable = False
        self.idle_since = 0.0

    async def exchange(self, request: Sequence[bytes], answer_s: float) -> WireAnswer:
        """Send one request and return its answer, which may take `answer_s`; nothing else may be under way."""
        if self.closed or self._transport is None:
            raise ConnectionResetError("the store closed the connection")
        self.reusable = False
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        overdue = loop.call_later(answer_s, self._fail, TimeoutError(f"no answer within {answer_s:g} s"))
        try:
            self._transport.writelines(request)
            return await self._waiting
        finally:
            overdue.cancel()

    def close(self) -> None:
        """Close the connection at once; whoever waits for an answer is told."""
        if not self.closed and self._transport is not None:
            self._transport.abort()
            self.connection_lost(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where requests go."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the request that waits; the pool forgets this connection."""
        self.closed = True
        self._on_lost(self)
        self._fail(error if isinstance(error, OSError) else ConnectionResetError("the store closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Parse what came; what nobody asked for, or is not HTTP, ends the connection."""
        try:
            if self._waiting is None:
                raise ConnectionResetError("the store speaks without being asked")
            self._parser.feed_data(data)
        except (httptools.HttpParserError, OSError) as error:
            self._fail(ConnectionResetError(f"not an answer: {error}"))
            self.close()

    def on_message_begin(self) -> None:
        """Begin an answer."""
        self._headers, self._body = CIMultiDict(), b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers.add(name.decode("latin-1"), value.decode("latin-1"))

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body += body
        if len(self._body) > _LONGEST_ANSWER_BYTES:
            raise ConnectionResetError("the answer is too long")

    def on_message_complete(self) -> None:
        """Hand the answer over; interim ones (1xx) are passed over."""
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS or self._waiting is None or self._transport is None:
            return
        # An answer before the request has left means that the store does not read the rest.
        self.reusable = self._parser.should_keep_alive() and not self._transport.get_write_buffer_size()
        if not self._waiting.done():
            self._waiting.set_result(WireAnswer(status, self._headers, self._body))
        self._waiting = None

    def _fail(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_exception(error)
