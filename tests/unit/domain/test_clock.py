"""Times: whole milliseconds in UTC inside, `YYYY-MM-DDThh:mm:ss.mmmZ` outside."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.clock import now, wire_time, wire_time_or_none


def test_now_is_utc_and_whole_milliseconds():
    assert now().tzinfo is UTC
    assert now().microsecond % 1000 == 0


def test_now_is_the_millisecond_that_the_clock_shows(monkeypatch):
    for moment_ms in range(1_790_000_000_000, 1_790_000_002_000):
        monkeypatch.setattr("shared.domain.clock.time.time_ns", lambda shown=moment_ms: shown * 1_000_000 + 999_999)
        assert (now() - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1) == moment_ms


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9990, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_any_offset_comes_out_as_utc_with_milliseconds(moment, minutes):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    written = wire_time(aware)
    assert len(written) == len("2026-01-01T00:00:00.000Z")
    assert abs(datetime.fromisoformat(written) - aware) < timedelta(milliseconds=1)


def test_no_time_stays_none():
    assert wire_time_or_none(None) is None
