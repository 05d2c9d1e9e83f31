"""The trace: one id from the request that began something to the last webhook that tells of it.

It is an HTTP request's, from there its events' and jobs', and theirs again. Whatever works for one is `traced` by it; events and
jobs made meanwhile remember it, and every log line shows it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.domain.randomness import random_bytes

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

_current: ContextVar[str | None] = ContextVar("trace_id", default=None)


def current_trace() -> str | None:
    """Return the id of the trace that this task works for, if any."""
    return _current.get()


@contextmanager
def traced(trace_id: str | None) -> Iterator[None]:
    """Work for this trace, or for none, until the block ends; tasks begun in the block do, too."""
    token = _current.set(trace_id)
    try:
        yield
    finally:
        _current.reset(token)


def trace_of(traceparent: str) -> str:
    """Return the trace id of a W3C `traceparent`, or a new one when there is none in it."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return found[1] if found else random_bytes(16).hex()
