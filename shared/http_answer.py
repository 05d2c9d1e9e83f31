"""An answer between the application and the connection: its head waits for the first piece of its body and leaves with it.

uvicorn writes a head as soon as it is told of it, and then the body: two system calls and two packets for an answer of a few
hundred bytes. ASGI lets a server keep the head back until then.
"""

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

Headers = Iterable[tuple[bytes, bytes]]

_FRAMING = frozenset({b"connection", b"transfer-encoding"})  # what uvicorn has rules for
_LARGE_BYTES = 32 * 1024  # less than that is copied in a moment, and one piece is written faster than two
_name = itemgetter(0)
_BODILESS = frozenset({204, 304})


class UnsafeHeader(Exception):
    """A header holds what would end it early."""


class Answer:
    """What is sent in answer to one request; takes the place of its cycle's `send`."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle, self._send_on = cycle, cycle.send
        self._start: Any = None  # while it waits

    async def send(self, message: Any) -> None:  # noqa: ANN401 - an ASGI message
        """Keep a head; send it together with a body that is whole, or leave both to uvicorn."""
        if message["type"] == "http.response.start" and self._start is None and not self._cycle.response_started:
            self._start = message
            self._cycle.response_started = True  # as far as the application can tell: if it breaks off now, the connection ends
            return
        start, self._start = self._start, None
        if start is not None:
            if self._is_whole(start, message):
                self._send_whole(start, message["body"])
                self._let_go()
                return
            self._cycle.response_started = False
            await self._send_on(start)
        await self._send_on(message)
        if self._cycle.response_complete:
            self._let_go()

    def _let_go(self) -> None:
        """Leave the cycle as uvicorn made it: what holds itself is freed late, and there would be one for each request."""
        own = self._cycle.__dict__
        own.pop("receive", None)
        own.pop("send", None)

    def _is_whole(self, start: Any, message: Any) -> bool:  # noqa: ANN401 - ASGI messages
        cycle = self._cycle
        if message["type"] != "http.response.body" or message.get("more_body", False) or "body" not in message:
            return False
        if cycle.scope["method"] == "HEAD" or start["status"] in _BODILESS or cycle.flow.write_paused or cycle.disconnected:
            return False
        headers = start["headers"]
        length = (b"content-length", b"%d" % len(message["body"]))
        return length in headers and _FRAMING.isdisjoint(map(_name, headers))

    def _send_whole(self, start: Any, body: bytes) -> None:  # noqa: ANN401 - an ASGI message
        cycle = self._cycle
        headers = [*cycle.default_headers, *start["headers"]]
        if not cycle.keep_alive:
            headers.append((b"connection", b"close"))
        head = _head(start["status"], headers)
        if len(body) < _LARGE_BYTES:
            cycle.transport.write(head + body)
        else:
            cycle.transport.writelines((head, body))
        cycle.waiting_for_100_continue = False
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


def _head(status: int, headers: Headers) -> bytes:
    lines = list(map(b": ".join, headers))
    head = b"%b%b\r\n\r\n" % (STATUS_LINE[status], b"\r\n".join(lines))
    ends = len(lines) + 2
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise UnsafeHeader("a header of the answer holds a line break")
    return head
