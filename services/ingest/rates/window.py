"""One limit of one project, in one replica: tokens are leased from the shared count in batches and spent without a round trip."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from services.ingest.request_context import Standing

_SHARE = 10  # a lease is at most this part of the limit
_LAST_SHARE = 4  # and at most this part of what is left, so that little is stranded on other replicas at the end
_LOW = 3  # at this part of the last lease the next one is fetched


class Limit(msgspec.Struct, frozen=True):
    """At most `count` in each window of `seconds`; windows begin at multiples of `seconds` since 1970."""

    name: str
    count: int
    seconds: int


Lease = Callable[["Window", int], Awaitable[int | None]]
"""Adds a number to the window's shared count and returns the sum, or None when the shared count cannot be asked."""


class Window:
    """What this replica may still admit in the present window.

    All replicas together never lease more than the limit. While the shared count does not answer, this replica goes on by itself,
    as if the others had stopped, and adds what it admitted to the next lease.
    """

    __slots__ = ("_asking", "_lease", "_low", "_owed", "_spent", "_taken", "_waiting", "index", "left", "limit", "subject")

    def __init__(self, subject: str, limit: Limit, lease: Lease) -> None:
        self.subject, self.limit, self._lease = subject, limit, lease
        self._begin(-1)

    def _begin(self, index: int) -> None:
        self.index = index
        self.left = self._low = self._owed = self._taken = self._waiting = 0
        self._spent = False
        self._asking: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """The name of the present window's shared count."""
        return f"{self.subject}/{self.limit.name}/{self.index}"

    @property
    def ends_at(self) -> int:
        """When the present window ends, in Unix seconds."""
        return (self.index + 1) * self.limit.seconds

    @property
    def standing(self) -> Standing:
        """What the answer says of the limit, as far as this replica knows."""
        untaken = max(0, self.limit.count - self._taken)
        return Standing(self.limit.count, min(self.left + untaken, self.limit.count), self.ends_at)

    def has_token(self, at: float) -> bool:
        """Say whether one can be spent at once, at Unix time `at`; a clock that was put back is believed, too."""
        index = int(at // self.limit.seconds)
        if index != self.index:
            self._begin(index)
        return self.left > 0

    @property
    def spent(self) -> bool:
        """Say whether there will be no more in the present window."""
        return self._spent and self.left == 0

    def spend(self) -> None:
        """Take one; fetch more before the last is gone."""
        self.left -= 1
        if self.left <= self._low and not self._spent and self._asking is None:
            self._ask()

    def settle(self) -> None:
        """Have what was admitted without the shared count added to it, where no lease is going to do so any more."""
        if self._owed and self._asking is None:
            self._ask()

    async def refill(self) -> None:
        """Wait for tokens; afterwards there are some, or `spent` holds, or others were faster."""
        asking = self._asking or self._ask()
        self._waiting += 1
        try:
            await asyncio.shield(asking)
        finally:
            self._waiting = max(0, self._waiting - 1)

    def _ask(self) -> asyncio.Task[None]:
        self._asking = asyncio.create_task(self._refill(self.index))
        return self._asking

    async def _refill(self, index: int) -> None:
        if index != self.index:
            return  # a new window began before this did
        remaining = self.limit.count - self._taken
        wanted = max(1, min(max(self.limit.count // _SHARE, self._waiting), remaining // _LAST_SHARE))
        taken = await self._lease(self, wanted + self._owed)
        if index != self.index:
            return  # a new window has begun meanwhile
        self._asking = None
        if taken is None:
            granted = min(wanted, remaining)
            self._taken += granted
            self._owed += granted
        else:
            granted = max(0, min(wanted, self.limit.count - (taken - wanted)))
            self._taken, self._owed = taken, 0
        self.left += granted
        self._low = wanted // _LOW
        self._spent = self._taken >= self.limit.count
