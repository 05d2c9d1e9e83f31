"""JSON lines on stdout: one wide line per handled unit, and start, stop and faults beside it.

Every line has `time` (UTC, ISO 8601, milliseconds), `level`, `event` and `service`, then the task's trace and what is bound to it
(`bind`), then its own fields. Libraries that log through the standard library come out the same way. Secrets never do, nor do
spoken words.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO, cast

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger, WrappedLogger

from shared.domain.errors import PermanentFailure, TransientFailure
from shared.domain.trace import current_trace
from shared.telemetry.redaction import SCALARS, redact, scrub

Logger = FilteringBoundLogger

_MESSAGE_LIMIT = 1_000
_STACK_LIMIT = 8_000
_bound: ContextVar[Mapping[str, object]] = ContextVar("bound_log_fields", default=MappingProxyType({}))


def configure_logging(service: str, level: str, output: BinaryIO | None = None) -> None:
    """Send every log line of the process to stdout (or `output`) as JSON; may be called again, the last call counts.

    Libraries are heard from WARNING on, unless `level` is DEBUG.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer = _Renderer(service)
    lines = _Lines(output or sys.stdout.buffer)
    structlog.configure(
        processors=[structlog.processors.add_log_level, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    handler = _LibraryHandler(renderer, lines)
    logging.basicConfig(
        handlers=[handler], level=threshold if threshold < logging.INFO else max(threshold, logging.WARNING), force=True
    )
    logging.captureWarnings(capture=True)
    logging.getLogger("uvicorn.access").disabled = True  # the wide line of each request says more


def get_logger() -> Logger:
    """Return the logger; it may be taken at import, before `configure_logging`."""
    return cast("Logger", structlog.get_logger())


class Binding:
    """The fields of one `bind`; leaving it as a context manager takes them away again."""

    def __init__(self, token: Token[Mapping[str, object]]) -> None:
        self._token = token

    def __enter__(self) -> None:
        """Do nothing: the fields are bound already."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _bound.reset(self._token)


def bind(**fields: object) -> Binding:
    """From now on, every line of this task and of tasks it starts carries `fields`; as a context manager, until it ends."""
    return Binding(_bound.set({**_bound.get(), **fields}))


def bound_fields() -> Mapping[str, object]:
    """Return what is bound to this task."""
    return _bound.get()


@contextmanager
def wide_event(log: Logger, name: str, **fields: object) -> Iterator[dict[str, Any]]:
    """Log one `<name>.done` when the block ends, with what the block put in the line, its outcome and `duration_ms`.

    `outcome` is `ok`, `error` or `cancelled` unless the block set another; errors pass through unchanged.
    """
    line: dict[str, Any] = dict(fields)
    began = time.perf_counter()
    write = log.info
    try:
        yield line
    except Exception as error:
        expected = isinstance(error, TransientFailure | PermanentFailure)
        line |= {"outcome": "error", **describe(error, stack=not expected)}
        write = log.warning if expected else log.error
        raise
    except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit):
        line["outcome"] = "cancelled"
        raise
    finally:
        line.setdefault("outcome", "ok")
        line["duration_ms"] = round((time.perf_counter() - began) * 1000, 3)
        line.pop("event", None)  # the event's own name stands there
        write(f"{name}.done", **line)


def describe(error: BaseException, *, stack: bool) -> dict[str, object]:
    """Say what `error` is in log fields: `error` (its type), `error_message`, the end of its `stack`, a failure's `reason`."""
    fields: dict[str, object] = {"error": type(error).__name__, "error_message": str(error)[:_MESSAGE_LIMIT]}
    if isinstance(error, PermanentFailure):
        fields["reason"] = str(error.reason)
    if stack:
        fields["stack"] = "".join(traceback.format_exception(error))[-_STACK_LIMIT:]
    return fields


class _Lines:
    """Where lines go, each written at once and whole, whichever thread it comes from; `structlog` calls it by a line's level."""

    def __init__(self, output: BinaryIO) -> None:
        self._lock = threading.Lock()
        self._output = output

    def msg(self, line: bytes) -> None:
        """Write one line."""
        with self._lock:
            self._output.write(line + b"\n")
            self._output.flush()

    debug = info = warning = error = critical = msg


class _Renderer:
    """The last processor: an event's fields in, one redacted line of JSON out. Never raises."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def __call__(self, _logger: WrappedLogger, _method: str, fields: MutableMapping[str, Any]) -> bytes:
        head = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": fields.pop("level", "info"),
            "event": fields.pop("event", ""),
            "service": self._service,
        }
        error = _error_of(fields.pop("exc_info", None))
        described = describe(error, stack=True) if error else {}
        trace = {"trace_id": trace_id} if (trace_id := current_trace()) else {}
        return self._encode(head, {**trace, **_bound.get(), **fields, **described})

    def _encode(self, head: dict[str, object], fields: dict[str, object]) -> bytes:
        try:
            return scrub(self._encoder.encode({**head, **redact(fields), **head}))
        except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
            plain = {key: ascii(value) if isinstance(value, SCALARS) else type(value).__name__ for key, value in fields.items()}
            return scrub(self._encoder.encode({**head, **redact(plain), **head}))


def _error_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return cast("BaseException | None", exc_info[1])
    return sys.exc_info()[1] if exc_info else None


class _LibraryHandler(logging.Handler):
    """Writes the records of the standard library's loggers in the same form."""

    def __init__(self, renderer: _Renderer, lines: _Lines) -> None:
        super().__init__()
        self._renderer, self._lines = renderer, lines

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`; what the library formatted becomes the event."""
        fields: dict[str, Any] = {"level": record.levelname.lower(), "event": _message_of(record), "logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        self._lines.msg(self._renderer(None, record.levelname, fields))


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit the format
        return str(record.msg)
