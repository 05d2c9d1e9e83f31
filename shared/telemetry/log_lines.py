"""How a log line is made of an event's fields, and written."""

import asyncio
import sys
import threading
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import datetime
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from shared.domain.clock import now, wire_time
from shared.domain.errors import PermanentFailure
from shared.domain.trace import current_trace
from shared.telemetry.redaction import SCALARS, is_plain, redact, scrub

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


class Told(NamedTuple):
    """An event's fields, `level` and `event` among them, with when it was told and what was known of the task."""

    at: datetime
    trace_id: str | None
    bound: Mapping[str, object]
    fields: dict[str, Any]


def told_now(fields: dict[str, Any]) -> Told:
    """Note who tells, and when; an `exc_info` becomes the error that it means."""
    if "exc_info" in fields:
        fields["exc_info"] = _error_of(fields["exc_info"])
    return Told(now(), current_trace(), bound.get(), fields)


class Renderer:
    """What was told in, one redacted line of JSON out. Never raises."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def __call__(self, told: Told) -> bytes:
        """Return the line of what was told."""
        fields = told.fields
        head = {"time": wire_time(told.at), "level": fields["level"], "event": fields["event"], "service": self._service}
        line: dict[str, Any] = head.copy()
        if told.trace_id:
            line["trace_id"] = told.trace_id
        line |= told.bound
        line |= fields
        if error := line.pop("exc_info", None):
            line |= describe(error, stack=True)
        line |= head
        return self._encode(head, line) + b"\n"

    def _encode(self, head: dict[str, object], line: dict[str, object]) -> bytes:
        try:
            return scrub(self._encoder.encode(redact(line)))
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            plain = {key: ascii(value) if isinstance(value, SCALARS) else type(value).__name__ for key, value in line.items()}
            return scrub(self._encoder.encode(redact({**plain, **head})))


class Lines:
    """Where lines go, whole and in order, whichever thread they come from.

    A write lets go of the interpreter, and to get it back costs a busy process more than the line did. So what an event loop
    tells of what went well waits up to `GATHERED_S` for more to be told, and many lines are made in one go for half of what each
    costs by itself; anything else is written at once, with what waits.
    """

    def __init__(self, renderer: Renderer, output: BinaryIO | None = None) -> None:
        self._render, self._output = renderer, output
        self._lock = threading.Lock()
        self._waiting: list[Told | bytes] = []
        self._timed_by: asyncio.AbstractEventLoop | None = None  # the loop that will write what waits

    def __call__(self, fields: dict[str, Any]) -> None:
        """Write a line, or have it written soon."""
        loop = _running_loop() if fields["level"] in _PATIENT else None
        told = told_now(fields)
        line = told if loop is not None and is_plain(fields) else self._render(told)  # what can change is written as it stands
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
            waiting, self._waiting = self._waiting, []
            output = self._output or sys.stdout.buffer
            output.write(b"".join([line if isinstance(line, bytes) else self._render(line) for line in waiting]))
            output.flush()


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
