"""The trace: one id from the request that began something to the last webhook that tells of it.

It is an HTTP request's, from there its events' and jobs', and theirs again. Whatever works for one is `traced` by it; events and
jobs made meanwhile remember it, and every log line shows it.
"""

import re
from contextvars import ContextVar, Token
from types import TracebackType

from shared.domain.randomness import random_hex

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

_current: ContextVar[str | None] = ContextVar("trace_id", default=None)


def current_trace() -> str | None:
    """Return the id of the trace that this task works for, if any."""
    return _current.get()


class Tracing:
    """A block that works for a trace."""

    __slots__ = ("_token", "_trace_id")
    _token: Token[str | None]

    def __init__(self, trace_id: str | None) -> None:
        self._trace_id = trace_id

    def __enter__(self) -> None:
        """Begin to work for it."""
        self._token = _current.set(self._trace_id)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _current.reset(self._token)


def traced(trace_id: str | None) -> Tracing:
    """Work for this trace, or for none, until the block ends; tasks begun in the block do, too."""
    return Tracing(trace_id)


def trace_of(traceparent: str) -> str:
    """Return the trace id of a W3C `traceparent`, or a new one when there is none in it."""
    found = traceparent and _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else random_hex()
