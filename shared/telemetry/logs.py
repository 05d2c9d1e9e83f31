"""JSON lines on stdout: one wide line per handled unit, and start, stop and faults beside it.

Every line has `time` (UTC, ISO 8601, milliseconds), `level`, `event` and `service`, then the task's trace and what is bound to it
(`bind`), then its own fields. Libraries that log through the standard library come out the same way. Secrets never do, nor do
spoken words.
"""

import asyncio
import atexit
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Token
from types import TracebackType
from typing import Any, BinaryIO

from shared.domain.errors import PermanentFailure, TransientFailure
from shared.telemetry.log_lines import Lines, Renderer, bound, describe


def configure_logging(service: str, level: str, output: BinaryIO | None = None) -> None:
    """Send every log line of the process to stdout (or `output`) as JSON; may be called again, the last call counts.

    Libraries are heard from WARNING on, unless `level` is DEBUG.
    """
    flush_lines()
    threshold = logging.getLevelNamesMapping()[level.upper()]
    _log.threshold, _log.write = threshold, Lines(Renderer(service), output)
    logging.basicConfig(
        handlers=[_LibraryHandler()], level=threshold if threshold < logging.INFO else max(threshold, logging.WARNING), force=True
    )
    logging.captureWarnings(capture=True)
    logging.getLogger("uvicorn.access").disabled = True  # the wide line of each request says more


def get_logger() -> "Logger":
    """Return the logger; it may be taken at import, before `configure_logging`."""
    return _log


def flush_lines() -> None:
    """Write what waits to be written, as is done at the end of the process."""
    if isinstance(_log.write, Lines):
        _log.write.flush()


@contextmanager
def captured_lines() -> Iterator[list[dict[str, Any]]]:
    """Write nothing until the block ends; the list holds the fields of each line instead, its `level` and `event` among them."""
    captured: list[dict[str, Any]] = []
    before = _log.threshold, _log.write
    _log.threshold, _log.write = logging.DEBUG, captured.append
    try:
        yield captured
    finally:
        _log.threshold, _log.write = before


class Binding:
    """The fields of one `bind`; leaving it as a context manager takes them away again."""

    def __init__(self, token: Token[Mapping[str, object]]) -> None:
        self._token = token

    def __enter__(self) -> None:
        """Do nothing: the fields are bound already."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        bound.reset(self._token)


def bind(**fields: object) -> Binding:
    """From now on, every line of this task and of tasks it starts carries `fields`; as a context manager, until it ends."""
    return Binding(bound.set({**bound.get(), **fields}))


def bound_fields() -> Mapping[str, object]:
    """Return what is bound to this task."""
    return bound.get()


@contextmanager
def wide_event(log: "Logger", name: str, **fields: object) -> Iterator[dict[str, Any]]:
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


class Logger:
    """Writes lines of a level, each with the name of its event and its fields; an `exc_info` among them becomes the error's."""

    def __init__(self, threshold: int, write: Callable[[dict[str, Any]], object]) -> None:
        """Leave out what is below `threshold`; `write` takes the fields of a line, `level` and `event` among them."""
        self.threshold, self.write = threshold, write

    def debug(self, event: str, **fields: object) -> None:
        """Tell what only a developer wants to know."""
        if self.threshold <= logging.DEBUG:
            self.write({**fields, "level": "debug", "event": event})

    def info(self, event: str, **fields: object) -> None:
        """Tell what happened as it should."""
        if self.threshold <= logging.INFO:
            self.write({**fields, "level": "info", "event": event})

    def warning(self, event: str, **fields: object) -> None:
        """Tell what is amiss and was coped with."""
        if self.threshold <= logging.WARNING:
            self.write({**fields, "level": "warning", "event": event})

    def error(self, event: str, **fields: object) -> None:
        """Tell of a fault."""
        if self.threshold <= logging.ERROR:
            self.write({**fields, "level": "error", "event": event})

    def exception(self, event: str, **fields: object) -> None:
        """Tell of the fault that is being handled, with its stack."""
        self.error(event, **{"exc_info": True, **fields})


class _LibraryHandler(logging.Handler):
    """Writes the records of the standard library's loggers in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`; what the library formatted becomes the event."""
        fields: dict[str, Any] = {"level": record.levelname.lower(), "event": _message_of(record), "logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        _log.write(fields)


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit the format
        return str(record.msg)


_log = Logger(logging.INFO, Lines(Renderer("earwitness")))
atexit.register(flush_lines)
