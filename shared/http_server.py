"""uvicorn, driven instead of in charge: it takes no signals, drains when told to, and does not wait for slow clients forever.

uvicorn times out idle connections only between requests, and limits the size of a head only in its slower parser. Both gaps let a
handful of clients hold a service; the protocol here closes them.
"""

import asyncio
import socket
import sys
import time
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shared.http_answer import Answer, Headers
from shared.http_body import RequestBody
from shared.http_parser import RequestParser
from shared.telemetry.health import ASGIApp, error_body

HEAD_TIMEOUT_S = 20.0  # for a whole request head, from the connection or from the head's first byte
BODY_IDLE_TIMEOUT_S = 60.0  # between two pieces of a body that the service is ready to read, or to pass over
ANSWER_IDLE_TIMEOUT_S = 60.0  # of an answer that waits to be read
HEAD_LIMIT_BYTES = 64 * 1024  # of a head, and of what a body in chunks may have in one place beside its content
BODY_BUFFER_BYTES = 128 * 1024  # of a body that is not asked for yet; a usual chunk fits, so its connection is never paused
KEEP_ALIVE_S = 75
BACKLOG = 2048
TICKS_PER_SECOND = 10  # of uvicorn's main loop


class GuardedHttp(HttpToolsProtocol):
    """HTTP/1.1 over httptools that notices a client which sends too slowly or too much head, or does not read."""

    _head_since: float | None = None  # None while no head is being received
    _head_bytes = 0  # since the last head or piece of a body
    _in_message = False
    _heard_at = 0.0
    _body: RequestBody  # of the newest request
    _running: RequestResponseCycle | None = None  # the request that is being answered; newer ones wait behind it
    _refusal: bytes | None = None  # of what came behind requests that are still to be answered; more is not read
    _unread_since: float | None = None  # None while the client takes what is sent
    parser: RequestParser  # type: ignore[assignment]  # it does for uvicorn what httptools would

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first head."""
        self._head_since = self._heard_at = time.monotonic()
        self.parser = RequestParser(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came, and refuse a head, or what stands around the pieces of a body, that has grown too large."""
        if self._refusal is not None:
            return
        self._heard_at = time.monotonic()
        if not (self._in_message or self._answering) and self._head_since is None:  # blank lines behind a request begin no other
            self._head_since = self._heard_at
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
            limit = f"a request's head, and its trailer, may be {HEAD_LIMIT_BYTES} bytes at most"
            self._refuse(431, "Request Header Fields Too Large", "headers_too_large", limit)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request that is being answered know: uvicorn tells the newest one only."""
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of this head."""
        self._in_message = True
        self._head_since = self._heard_at
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, as uvicorn does, without the blanks that HTTP allows behind it.

        A trailer is passed over, lest it pass for a header.
        """
        if self._head_since is not None:
            name, value = name.lower(), value.rstrip(b" \t")
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Stop waiting for the head; have the application be handed the body as it comes, and its answer go out in one piece."""
        if self.parser.will_repeat:
            return
        self._head_since = None
        self._head_bytes = 0
        super().on_headers_complete()
        self._body = RequestBody(self.cycle)
        self.cycle.receive = self._body.receive  # type: ignore[method-assign]  # asked for when its task runs, not before
        self.cycle.send = Answer(self.cycle).send  # type: ignore[method-assign]  # as above

    def on_body(self, body: bytes) -> None:
        """Keep a piece for the application, and read no further while too much waits."""
        self._head_bytes = 0
        if not self.cycle.response_complete:
            self._body.add(body)
            if self._body.waiting_bytes > BODY_BUFFER_BYTES:
                self.flow.pause_reading()

    def on_message_complete(self) -> None:
        """Wait for nothing until the next head begins."""
        if self.parser.will_repeat:
            return
        self._in_message = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Keep the answer back: the client has not read what was sent."""
        self._unread_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        self._unread_since = None
        super().resume_writing()

    def is_overdue(self, now: float) -> bool:
        """Say whether the client has kept us waiting for longer than allowed."""
        if self._unread_since is not None and now - self._unread_since > ANSWER_IDLE_TIMEOUT_S:
            return True
        if self._head_since is not None:
            return now - self._head_since > HEAD_TIMEOUT_S
        cycle = self.cycle
        if cycle is None or not self._in_message or cycle.waiting_for_100_continue:
            return False
        if self.flow.read_paused:  # it is us who keep the client waiting
            self._heard_at = now
        return now - self._heard_at > BODY_IDLE_TIMEOUT_S

    def give_up(self) -> None:
        """Close the connection at once; a running request sees its client gone."""
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP in the API's error envelope, with the parser's reason if it is the parser that refuses."""
        fault = sys.exception()
        told = f"this is no valid HTTP/1.1 request: {fault}" if isinstance(fault, httptools.HttpParserError) else msg
        self._refuse(400, "Bad Request", "invalid_request", told)

    @property
    def _answering(self) -> bool:
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - as uvicorn has it
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _refuse(self, status: int, phrase: str, code: str, message: str) -> None:
        """Answer with the refusal and close; once earlier requests are answered, or without an answer where one has begun."""
        refusal = _refusal(status, phrase, code, message, self._standing())
        cycle, in_head = self.cycle, self._head_since is not None or not self._in_message
        if in_head and self._answering:
            self._refusal = refusal
            self._head_since, self._head_bytes, self._in_message = None, 0, False
            return
        if cycle is None or in_head or (cycle is self._running and not cycle.response_started):
            self.transport.write(refusal)
        self.transport.close()

    def _standing(self) -> Headers:
        """Return what the application has its every answer say of how the client stands, if it has such headers."""
        headers_of = getattr(self.app, "standing_of", None)
        return () if headers_of is None else headers_of(self.client)

    def on_response_complete(self) -> None:
        """Go on with the next request, or with the refusal of what came behind the last."""
        super().on_response_complete()
        last = self._running is None or self._running.response_complete
        if self._refusal is not None and last and not self.transport.is_closing():
            self.transport.write(self._refusal)
            self.transport.close()


class HttpServer(uvicorn.Server):
    """Serves one ASGI app on one bound socket, between `start` and `drain`."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                interface="asgi3",  # uvicorn's guess takes a bound method for the older interface
                http=GuardedHttp,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                backlog=BACKLOG,
            )
        )
        self._listener = _bind(host, port)
        self._ticking: asyncio.Task[None] | None = None
        self._all_finished = False

    @property
    def port(self) -> int:
        """The port that is really used, known before `start`."""
        return int(self._listener.getsockname()[1])

    @property
    def ticking(self) -> "asyncio.Task[None]":
        """Uvicorn's main loop; ends only by `drain` or by an error."""
        if self._ticking is None:
            raise RuntimeError("the server is not started")
        return self._ticking

    async def start(self) -> None:
        """Start the app (its lifespan) and accept connections; an error of the app's start is raised."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        try:
            await self.startup(sockets=[self._listener])
        except SystemExit as exited:  # uvicorn's way to say that the lifespan failed; it has logged why
            raise RuntimeError("the application did not start") from exited
        self._ticking = asyncio.create_task(self.main_loop(), name="http-server")

    async def drain(self, timeout_s: float) -> bool:
        """Stop accepting, let running requests finish, stop the app; False when requests had to be cut after `timeout_s`."""
        if self._ticking is None:
            self._listener.close()
            return True
        self.should_exit = True
        await asyncio.wait({self._ticking})
        self.config.timeout_graceful_shutdown = timeout_s  # type: ignore[assignment]  # only ever given to wait_for
        await self.shutdown(sockets=[self._listener])
        return self._all_finished

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second, and once a second leave clients that keep us waiting."""
        if counter % TICKS_PER_SECOND == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, GuardedHttp) and connection.is_overdue(now):
                    connection.give_up()
        return await super().on_tick(counter)

    async def _wait_tasks_to_complete(self) -> None:
        await super()._wait_tasks_to_complete()
        self._all_finished = True  # not reached when uvicorn's time limit cancels the wait


def _refusal(status: int, phrase: str, code: str, message: str, standing: Headers) -> bytes:
    body, request_id = error_body(code, message)
    told = b"".join(b"%b: %b\r\n" % header for header in standing)
    head = (
        f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"x-request-id: {request_id}\r\nconnection: close\r\n"
    )
    return b"%b%b\r\n%b" % (head.encode(), told, body)


def _bind(host: str, port: int) -> socket.socket:
    """Take the port without listening yet: until the service has started, connections are refused, not kept waiting."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
