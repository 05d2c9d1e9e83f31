"""Being a member of a consumer group: joining, reading, committing, and noticing when the broker has forgotten us."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRebalanceListener  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError  # type: ignore[import-untyped]
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.schemas import Topic

from shared.domain.errors import TransientFailure
from shared.messaging.batch import Batch, Partition
from shared.messaging.broker import settings_of
from shared.messaging.closing import leave
from shared.messaging.commit import NOBODY, Member, commit_as, member_of
from shared.messaging.dead_letter import Record
from shared.messaging.offsets import Confirm, Offsets, Progress
from shared.messaging.policy import ConsumerPolicy
from shared.messaging.topology import ensure_topics
from shared.messaging.unread import next_of_broken
from shared.messaging.watch import PartitionWatch
from shared.telemetry.logs import get_logger

log = get_logger()

JOIN_TIMEOUT_S = 60.0
REBALANCE_S = 30.0  # the slowest one that nobody has to worry about
LAST_COMMIT_S = 2.0
LEAVE_TIMEOUT_S = 5.0
POLL_MS = 1_000
WATCH_S = 2.0

Records = Mapping[Partition, Sequence[Record]]


class MembershipLost(TransientFailure):
    """The client cannot go on as a member; joining again may help."""


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One consumer's place in its group; may be left and joined again."""

    def __init__(self, broker: KafkaBroker, group: str, topics: Sequence[str], policy: ConsumerPolicy, confirm: Confirm) -> None:
        settings = settings_of(broker)
        self._broker, self._group, self._policy = broker, group, policy
        self._drain_s = settings.kafka_session_timeout_ms / 2_000
        self._subscriber = broker.subscriber(
            *(Topic(name, declare=False) for name in topics),
            batch=True,
            group_id=group,
            group_instance_id=settings.kafka_group_instance,
            ack_policy=AckPolicy.MANUAL,  # offsets are committed here, when what lies before them is settled
            auto_offset_reset="earliest",
            fetch_max_wait_ms=settings.kafka_fetch_wait_ms,
            session_timeout_ms=settings.kafka_session_timeout_ms,
            max_poll_interval_ms=settings.kafka_poll_interval_ms,
            heartbeat_interval_ms=max(100, settings.kafka_session_timeout_ms // 6),
            listener=self,
        )
        self._idle = asyncio.Event()
        self._idle.set()
        self._offsets = Offsets(group, confirm, self._commit, policy.commit_after_s)
        self._member: Member = NOBODY
        self._nobody_since = 0.0
        self._partitions = PartitionWatch()
        self._watch: asyncio.Task[None] | None = None
        self._committing: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Make the topics that are missing and join the group; raise a `TransientFailure` when that does not work."""
        await ensure_topics(self._broker)
        self._become_nobody()
        try:
            async with asyncio.timeout(JOIN_TIMEOUT_S):
                await self._subscriber.start()
        except (KafkaError, OSError, TimeoutError) as error:
            raise MembershipLost(f"group {self._group} could not be joined: {error!r}") from error
        self._watch = asyncio.create_task(self._keep_watch(), name=f"watch-{self._group}")
        self._committing = asyncio.create_task(self._offsets.run(), name=f"commit-{self._group}")

    async def leave(self) -> None:
        """Commit what is settled, and leave the group as far as the broker lets us.

        Both within seconds; what it makes us wait for longer ends in the background.
        """
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_COMMIT_S):
                    await self._offsets.commit()
        finally:
            await self._go()

    async def _go(self) -> None:
        for task in (self._watch, self._committing):
            if task is not None:
                task.cancel()
        client, self._subscriber.consumer = self._subscriber.consumer, None
        if client is not None:
            await leave(client, LEAVE_TIMEOUT_S)
        await self._subscriber.stop()
        self._offsets.forget()
        self._partitions.forget()

    async def next_records(self) -> Records:
        """Wait for messages, about a second at most; they are not committed before `handling` is through with them.

        Raise `MembershipLost` when no more can come.
        """
        if self._watch is not None and self._watch.done():
            self._watch.result()
        client = self._client
        try:
            try:
                records: Records = await client.getmany(timeout_ms=POLL_MS, max_records=self._policy.most_records)
            except UnicodeDecodeError as error:
                records = await next_of_broken(client, error)
        except (KafkaError, ConsumerStoppedError) as error:
            raise MembershipLost(f"group {self._group}: {error!r}") from error
        return records

    @contextlib.asynccontextmanager
    async def handling(self, batch: Batch) -> AsyncIterator[None]:
        """Have the batch handled; then have committed soon what is settled in it, and read the rest again after a rest.

        A rebalance waits for this, so that a partition's next owner starts where we ended. If it could not wait so long, nothing
        is committed: the messages are delivered again, here or elsewhere.
        """
        epoch = self._offsets.epoch
        self._idle.clear()
        try:
            yield
            if epoch == self._offsets.epoch:
                self._offsets.settle(batch.progress())
                self._hand_back(batch.stuck())
        finally:
            self._idle.set()

    async def on_partitions_revoked(self, revoked: set[Partition]) -> None:
        """Commit what is settled before the group goes on without us, the batch under way too if it ends in time.

        From then on we are nobody until partitions are assigned again: nothing is committed, and no silence is suspicious.
        """
        try:
            if revoked:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._drain_s):
                        await self._offsets.commit()
                        await self._idle.wait()
                        await self._offsets.commit()
        finally:
            self._become_nobody()

    async def on_partitions_assigned(self, assigned: set[Partition]) -> None:
        """Forget what the last assignment left undone: all that was not committed will be delivered again."""
        self._member = member_of(self._client)
        self._offsets.forget()
        self._partitions.forget()
        log.info("consumer.assigned", group=self._group, partitions=len(assigned))

    def _become_nobody(self) -> None:
        self._member, self._nobody_since = NOBODY, time.monotonic()

    @property
    def _client(self) -> Any:  # noqa: ANN401  # aiokafka's consumer, which has no type of its own
        if self._subscriber.consumer is None:
            raise MembershipLost(f"group {self._group} is not joined")
        return self._subscriber.consumer

    async def _commit(self, offsets: Progress) -> None:
        await commit_as(self._member, self._client, offsets)

    def _hand_back(self, stuck: Mapping[Partition, int]) -> None:
        client = self._client
        for partition, offset in stuck.items():
            if partition in client.assignment():
                client.seek(partition, offset)
                client.pause(partition)
                asyncio.get_running_loop().call_later(self._policy.rest_s, _resume, client, partition)
                log.warning("consumer.handed_back", group=self._group, topic=partition.topic, offset=offset)

    async def _keep_watch(self) -> None:
        """Make topics that have gone and look after partitions; raise `MembershipLost` when only joining again helps."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                await ensure_topics(self._broker)
                async with asyncio.timeout(WATCH_S):
                    await self._look()
            except MembershipLost:
                raise
            except (KafkaError, IllegalStateError, TransientFailure, OSError, TimeoutError) as error:
                log.debug("consumer.watch", group=self._group, reason=repr(error)[:200])

    async def _look(self) -> None:
        if self._member == NOBODY and time.monotonic() < self._nobody_since + REBALANCE_S:
            self._partitions.forget()
            return
        client = self._client
        watched = client.assignment() - client.paused()
        positions = {partition: await client.position(partition) for partition in watched}
        ends = await client.end_offsets(list(watched)) if watched else {}
        found = self._partitions.look(positions, ends, idle=self._idle.is_set())
        for partition in found.beyond:
            log.warning("consumer.rewound", group=self._group, topic=partition.topic, offset=positions[partition])
            await client.seek_to_beginning(partition)
            self._partitions.rewound(partition, positions[partition])
        if found.still:
            raise MembershipLost(f"group {self._group}: no messages come from {found.still}")


def _resume(client: Any, partition: Partition) -> None:  # noqa: ANN401  # aiokafka's consumer
    if partition in client.assignment():
        client.resume(partition)
