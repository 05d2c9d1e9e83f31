"""How far a group has come: what is settled is committed a few times a second, and never before it is confirmed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # aiokafka ships no types

from shared.domain.errors import TransientFailure
from shared.messaging.batch import Partition
from shared.messaging.commit import REFUSED
from shared.telemetry.logs import get_logger

log = get_logger()

COMMIT_TIMEOUT_S = 5.0
MOST_DOUBLINGS = 4  # of the pause between two commits, while they fail

Progress = Mapping[Partition, int]
Confirm = Callable[[], Awaitable[None]]
"""Returns once everything is stored for good that handlers were through with when it was called; else raises."""


async def nothing_to_confirm() -> None:
    """Confirm what handlers do that are through with an event only when its effects are stored for good."""


class Offsets:
    """The offsets of one membership that may be committed, by partition."""

    def __init__(self, group: str, confirm: Confirm, send: Callable[[Progress], Awaitable[None]], after_s: float) -> None:
        """Have `send` commit what `confirm` has confirmed, `after_s` seconds after it was settled."""
        self._group, self._confirm, self._send, self._after_s = group, confirm, send, after_s
        self._settled: dict[Partition, int] = {}
        self._more = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._failures = 0
        self.epoch = 0

    def settle(self, progress: Progress) -> None:
        """Have these offsets committed soon: all messages before them are settled."""
        if progress:
            self._settled |= progress
            self._more.set()

    def forget(self) -> None:
        """Begin a new epoch: what was not committed will be delivered again, here or elsewhere."""
        self.epoch += 1
        self._settled.clear()

    async def run(self) -> None:
        """Commit what is settled while there is any, also behind the back of batches under way; until cancelled."""
        while True:
            await self._more.wait()
            await asyncio.sleep(self._after_s * 2.0 ** min(self._failures, MOST_DOUBLINGS))
            await self.commit()

    async def commit(self) -> None:
        """Commit what is settled by now, if that can be done; what is not confirmed, or not taken by Kafka, is left for later.

        Nothing is committed that was settled in an epoch that has ended.
        """
        async with self._one_at_a_time:
            self._more.clear()
            settled, epoch = dict(self._settled), self.epoch
            if not settled:
                return
            try:
                await self._confirm()
                if epoch == self.epoch:
                    await self._send_in_time(settled)
            except REFUSED as error:
                log.warning("consumer.commit_refused", group=self._group, reason=repr(error)[:200])
                settled = dict(self._settled)  # the partitions are no longer ours
            except Exception as error:  # noqa: BLE001  # whatever keeps us from committing, consuming goes on
                self._defer(error)
                return
            self._failures = 0
            if epoch == self.epoch:
                self._settled = {where: offset for where, offset in self._settled.items() if settled.get(where) != offset}

    async def _send_in_time(self, settled: Progress) -> None:
        async with asyncio.timeout(COMMIT_TIMEOUT_S):
            await self._send(settled)

    def _defer(self, error: Exception) -> None:
        self._more.set()
        self._failures += 1
        foreseen = isinstance(error, KafkaError | TimeoutError | TransientFailure)
        log.warning("consumer.commit_deferred", group=self._group, reason=repr(error)[:200], exc_info=not foreseen)
