"""When a failed delivery is attempted again (contract A22)."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from shared.domain.clock import http_date

JITTER = 0.1
RETRY_AFTER_MOST_S = 8 * 3600.0  # as long as the longest pause of the schedule; whoever asks for more hears of us sooner


class Schedule(msgspec.Struct, frozen=True):
    """The pauses before each attempt, the first of which is none: as many attempts as there are pauses."""

    pauses_s: tuple[float, ...]

    def next_attempt_at(
        self, tries: int, ended_at: datetime, retry_after_s: float | None, draw: Callable[[], float] = random.random
    ) -> datetime | None:
        """Return when to try again after the `tries`-th attempt failed at `ended_at`; None when that was the last.

        The pause varies by a tenth either way, so that deliveries which failed together do not return together. It is never
        shorter than the receiver asked for, within bounds. `draw` gives numbers from 0 to 1.
        """
        if tries >= len(self.pauses_s):
            return None
        pause_s = self.pauses_s[tries] * (1 + JITTER * (2 * draw() - 1))
        asked_s = min(retry_after_s or 0.0, RETRY_AFTER_MOST_S)
        return ended_at + timedelta(seconds=max(pause_s, asked_s))


def retry_after_s(header: str | None, at: datetime) -> float | None:
    """Read a `Retry-After` header, seconds or a date, as seconds from `at`; None when there is none or it makes no sense."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_MOST_S)
    moment = http_date(text)
    if moment is None:
        return None
    if moment.tzinfo is None:  # the date came without a zone, or with `-0000`
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - at).total_seconds()), RETRY_AFTER_MOST_S)
