"""Consuming: the events of one consumer group, batch by batch, until told to stop.

FastStream declares the route, with its acknowledgement policy, and builds, starts and stops the client; the loop over its
batches is ours. FastStream's own loop over batches commits or seeks a batch as a whole, goes on past a batch whose headers it
cannot decode, and sleeps as long as it has just waited in vain; ours commits what is settled, hands back the rest, and takes a
message the moment it is there.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from faststream.kafka import KafkaBroker

from shared.domain.errors import TransientFailure
from shared.events.event import Event
from shared.messaging.batch import Batch, Lane
from shared.messaging.dead_letter import DeadLetters, Record, TooManyDeadLetters
from shared.messaging.membership import Membership
from shared.messaging.offsets import Confirm, nothing_to_confirm
from shared.messaging.pipeline import Handler, Pipeline
from shared.messaging.policy import ConsumerPolicy
from shared.telemetry.logs import get_logger

log = get_logger()

T = TypeVar("T")

DEFAULT = ConsumerPolicy()


def consume(
    broker: KafkaBroker,
    group: str,
    handlers: Mapping[type[Event], Handler],
    policy: ConsumerPolicy = DEFAULT,
    confirm: Confirm = nothing_to_confirm,
) -> "Consumer":
    """Return a consumer, not started, that gives every event of the types in `handlers` to its handler, as group `group`.

    At least once, and in order per recording. An event is done with when its handler returns, and `confirm`, awaited after that,
    before its offset is committed; what is not confirmed will be delivered again after a crash. See `RetryPolicy` for a handler
    that raises. Messages that cannot be handled go to the dead-letter topic.
    """
    return Consumer(broker, group, handlers, policy, confirm)


class Consumer:
    """One group's consumer; from `start` to `stop` it joins again whenever the broker has lost it."""

    def __init__(
        self, broker: KafkaBroker, group: str, handlers: Mapping[type[Event], Handler], policy: ConsumerPolicy, confirm: Confirm
    ) -> None:
        self.group = group
        topics = [str(kind.__struct_config__.tag) for kind in handlers]
        self._policy = policy
        self._dead_letters = DeadLetters(broker, group, policy.dead_letters)
        self._pipeline = Pipeline(group, handlers, self._dead_letters, policy.retry)
        self._membership = Membership(broker, group, topics, policy, confirm)
        self._slots = asyncio.Semaphore(policy.concurrency)
        self._stopping = asyncio.Event()
        self._joined = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._failed: asyncio.Future[None] | None = None

    @property
    def failed(self) -> "asyncio.Future[None]":
        """Done, with the error, when the consumer has stopped for good and the service should, too."""
        if self._failed is None:
            self._failed = asyncio.get_running_loop().create_future()
        return self._failed

    async def start(self) -> None:
        """Begin to consume, in the background: the broker may be away as yet."""
        self._running = asyncio.create_task(self._run(), name=f"consumer-{self.group}")

    async def joined(self) -> None:
        """Return once the group has been joined."""
        await self._joined.wait()

    async def stop(self, grace_s: float = 20.0) -> None:
        """Take no more messages, let those under way end, commit and leave the group.

        What has not ended after `grace_s` is cancelled and will be delivered again.
        """
        self._stopping.set()
        self._pipeline.drain()
        if self._running is None:
            return
        await asyncio.wait({self._running}, timeout=grace_s)
        self._running.cancel()
        await asyncio.wait({self._running})

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._unless_stopping(self._membership.join())
                self._joined.set()
                await self._take_batches()
            except TooManyDeadLetters as error:
                log.exception("consumer.stopped", group=self.group)
                self.failed.set_exception(error)
                return
            except TransientFailure as error:
                log.warning("consumer.rejoining", group=self.group, reason=str(error)[:200])
            except Exception:  # whatever broke the loop, the messages still have to be consumed
                log.exception("consumer.rejoining", group=self.group)
            finally:
                await self._membership.leave()
            await self._unless_stopping(asyncio.sleep(self._policy.rejoin_s))

    async def _take_batches(self) -> None:
        while not self._stopping.is_set():
            records = await self._unless_stopping(self._membership.next_records())
            if records:
                await self._handle(Batch(records))

    async def _unless_stopping(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what `work` returns; cancel it when the consumer is to stop."""
        task = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            stopping.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _handle(self, batch: Batch) -> None:
        async with self._membership.handling(batch), asyncio.TaskGroup() as lanes:
            for lane in batch.lanes():
                lanes.create_task(self._run_lane(batch, lane))
        if self._dead_letters.flooded:
            raise TooManyDeadLetters(f"group {self.group} gave up more messages than {self._policy.dead_letters}")

    async def _run_lane(self, batch: Batch, lane: Lane) -> None:
        async with self._slots:
            await batch.run(lane, self._settle)

    async def _settle(self, record: Record) -> bool:
        return (await self._pipeline.handle(record)).settled
