"""Time as the platform keeps it: UTC, to the millisecond, which is what MongoDB stores and the wire carries."""

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

_TO_SECONDS = len("2026-01-01T00:00:00")
_TO_MILLISECONDS = len("2026-01-01T00:00:00.000")


def now() -> datetime:
    """Return the current UTC time cut to whole milliseconds, so that a stored time equals the one in memory."""
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)  # in a third of the time that `replace` takes


def wire_time(moment: datetime) -> str:
    """Format `moment` as `YYYY-MM-DDThh:mm:ss.mmmZ` (contract A3)."""
    if moment.tzinfo is not UTC and moment.utcoffset():
        moment = moment.astimezone(UTC)
    written: str = msgspec.to_builtins(moment)  # several times as fast as `isoformat`, and there are five in an answer
    return written[:_TO_MILLISECONDS] + "Z" if moment.microsecond else written[:_TO_SECONDS] + ".000Z"


def wire_time_or_none(moment: datetime | None) -> str | None:
    """Format like `wire_time`, or pass None through."""
    return None if moment is None else wire_time(moment)


def http_date(text: str) -> datetime | None:
    """Return the time that an HTTP date of somebody else's names, without a zone where it names none; None when it is no date."""
    try:
        return parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year, an hour or a zone of twenty digits
        return None
