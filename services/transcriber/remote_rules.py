"""What to do next with a transcription at a provider on the network, and when to come back to it."""

from datetime import datetime, timedelta
from enum import Enum, auto

import msgspec

from shared.domain.transcription import RemoteJob


class Step(Enum):
    """What may be done next: order (or find the order again), await the answer, ask for it, read it, or give up."""

    PLACE = auto()
    AWAIT = auto()
    COLLECT = auto()
    READ = auto()
    GIVE_UP = auto()


class RemoteRules(msgspec.Struct, frozen=True, kw_only=True):
    """How long a provider is borne with: failed exchanges in a row, and seconds from the order to the result.

    It is asked after `first_pause_s`, then after a tenth of the time it has taken, at least every `longest_pause_s` seconds.
    One that sends its answer by itself is not asked: it has `callback_limit_s` to do so. With `order_again` an order whose answer
    was lost is placed again, though it may have been taken, and be paid for twice.
    """

    most_failures: int = 8
    time_limit_s: float = 6 * 3600.0
    first_pause_s: float = 2.0
    longest_pause_s: float = 30.0
    callback_limit_s: float = 1800.0
    order_again: bool = False

    def next_step(self, remote: RemoteJob | None, at: datetime) -> Step:
        """Return what to do at that time.

        An order that may have been taken, for nobody lived to note the answer, is awaited as one that was; when nothing has come
        of it in time it never was, and is placed again.
        """
        if remote is None:
            return Step.PLACE
        if remote.answered_at is not None:
            return Step.READ
        if at > remote.placed_at + timedelta(seconds=self.time_limit_s):
            return Step.GIVE_UP
        if remote.asked_at is None:
            return Step.PLACE if remote.job_id is None else Step.COLLECT
        if at < remote.asked_at + timedelta(seconds=self.callback_limit_s):
            return Step.AWAIT
        return Step.PLACE if remote.job_id is None else Step.GIVE_UP

    def pause_s(self, remote: RemoteJob | None, at: datetime) -> float:
        """Return in how many seconds to look again."""
        if remote is None or remote.answered_at is not None:
            return 0.0
        age_s = (at - remote.placed_at).total_seconds()
        if remote.asked_at is not None:  # whoever takes the answer wakes the job
            waited_s = (at - remote.asked_at).total_seconds()
            return max(0.0, min(self.callback_limit_s - waited_s, self.time_limit_s - age_s))
        return min(max(self.first_pause_s, age_s / 10), self.longest_pause_s)

    def pause_after_failure_s(self, remote: RemoteJob, at: datetime, asked_s: float | None) -> float:
        """Return in how many seconds to try again: with growing pauses, at least as long as the provider asks for."""
        if remote.asked_at is not None or remote.answered_at is not None:
            return self.pause_s(remote, at)
        return max(min(self.first_pause_s * 2.0**remote.failures, 10 * self.longest_pause_s), asked_s or 0.0)
