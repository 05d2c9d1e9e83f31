"""A request's body between the connection and the application: handed on in the pieces in which it came, none of them copied.

uvicorn gathers what comes in one buffer and copies it out again: for a chunk of a recording that was more than all else it did.
"""

from collections import deque
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestBody:
    """What has come of one request's body and was not asked for yet; takes the place of its cycle's `receive`."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._pieces: deque[bytes] = deque()
        self.waiting_bytes = 0

    def add(self, piece: bytes) -> None:
        """Keep a piece until it is asked for."""
        self._pieces.append(piece)
        self.waiting_bytes += len(piece)
        self._cycle.message_event.set()

    async def receive(self) -> Any:  # noqa: ANN401 - an ASGI message
        """Return the next piece as soon as there is one, an empty one at the end of the body, or that the client has gone."""
        cycle = self._cycle
        if cycle.waiting_for_100_continue and not cycle.transport.is_closing():
            cycle.transport.write(_CONTINUE)
            cycle.waiting_for_100_continue = False
        if not (self._pieces or cycle.disconnected or cycle.response_complete):
            cycle.flow.resume_reading()
            await cycle.message_event.wait()
        cycle.message_event.clear()
        if cycle.disconnected or cycle.response_complete:
            return {"type": "http.disconnect"}
        piece = self._pieces.popleft() if self._pieces else b""
        self.waiting_bytes -= len(piece)
        return {"type": "http.request", "body": piece, "more_body": cycle.more_body or bool(self._pieces)}
