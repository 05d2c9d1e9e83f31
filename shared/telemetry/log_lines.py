"""How a log line is made of an event's fields, and written."""

import asyncio
import contextlib
import sys
import threading
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, BinaryIO, cast

import msgspec

from shared.domain.clock import now, wire_time
from shared.domain.errors import PermanentFailure
from shared.domain.trace import current_trace
from shared.telemetry.redaction import SCALARS, redact, scrub

_MESSAGE_LIMIT = 1_000
_STACK_LIMIT = 8_000
_PATIENT = frozenset({"debug", "info"})

GATHERED_S = 0.01

bound: ContextVar[Mapping[str, object]] = ContextVar("bound_log_fields", default=MappingProxyType({}))
"""What every line of the task carries; `logs.bind` adds to it."""


def describe(error: BaseException, *, stack: bool) -> dict[str, object]:
    """Say what `error` is in log fields: `error` (its type), `error_message`, the end of its `stack`, a failure's `reason`."""
    fields: dict[str, object] = {"error": type(error).__name__, "error_message": str(error)[:_MESSAGE_LIMIT]}
    if isinstance(error, PermanentFailure):
        fields["reason"] = str(error.reason)
    if stack:
        fields["stack"] = "".join(traceback.format_exception(error))[-_STACK_LIMIT:]
    return fields


class Renderer:
    """An event's fields in, one redacted line of JSON out. Never raises."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def __call__(self, fields: dict[str, Any]) -> bytes:
        """Return the line of these fields, `level` and `event` among them, with what is bound to the task."""
        head = {
            "time": wire_time(now()),
            "level": fields.pop("level"),
            "event": fields.pop("event"),
            "service": self._service,
        }
        error = _error_of(fields.pop("exc_info", None))
        described = describe(error, stack=True) if error else {}
        trace = {"trace_id": trace_id} if (trace_id := current_trace()) else {}
        return self._encode(head, {**head, **trace, **bound.get(), **fields, **described, **head}) + b"\n"

    def _encode(self, head: dict[str, object], line: dict[str, object]) -> bytes:
        try:
            return scrub(self._encoder.encode(redact(line)))
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            plain = {key: ascii(value) if isinstance(value, SCALARS) else type(value).__name__ for key, value in line.items()}
            return scrub(self._encoder.encode(redact({**plain, **head})))


class Lines:
    """Where lines go, whole and in order, whichever thread they come from.

    A write lets go of the interpreter, and to get it back costs a busy process more than the line did. So what an event loop
    tells of what went well waits up to `GATHERED_S` for more to be told; anything else is written at once, with what waits.

    What cannot be written, for the disk is full or the reader gone, is lost: whoever tells it goes on.
    """

    def __init__(self, renderer: Renderer, output: BinaryIO | None = None) -> None:
        self._render, self._output = renderer, output
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._torn = False  # the last line that was written breaks off
        self._timed_by: asyncio.AbstractEventLoop | None = None  # the loop that will write what waits

    def __call__(self, fields: dict[str, Any]) -> None:
        """Write a line, or have it written soon."""
        loop = _running_loop() if fields["level"] in _PATIENT else None
        line = self._render(fields)
        with self._lock:
            self._waiting.append(line)
            if loop is None:
                self._write()
            elif self._timed_by is not loop:
                self._timed_by = loop
                loop.call_later(GATHERED_S, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        with self._lock:
            self._timed_by = None
            self._write()

    def _write(self) -> None:
        if self._waiting:
            gathered, self._waiting = b"\n" * self._torn + b"".join(self._waiting), []
            output = self._output or (sys.stdout and sys.stdout.buffer)  # there is none in a process begun without
            if output and (written := _written(output, gathered)):
                self._torn = not gathered.endswith(b"\n", 0, written)


def _written(output: BinaryIO, data: bytes) -> int:
    """Write as much of `data` as can be written, past any buffer, where what was not would wait; return how much that was."""
    raw, written = getattr(output, "raw", output), 0
    with contextlib.suppress(OSError):
        while written < len(data) and (count := raw.write(data[written:])):
            written += count
    return written


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _error_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return cast("BaseException | None", exc_info[1])
    return sys.exc_info()[1] if exc_info else None
