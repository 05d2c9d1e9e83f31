"""One batch of messages from Kafka: its lanes, which may run side by side, and how far its offsets may move."""

import heapq
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from shared.messaging.dead_letter import Record

Partition = Any  # aiokafka's TopicPartition, which has no type of its own
Lane = Sequence[tuple[Partition, Record]]


class Batch:
    """Messages by partition, in offset order, and which of them are settled."""

    def __init__(self, records: Mapping[Partition, Sequence[Record]]) -> None:
        self._records = records
        self._settled: set[tuple[Partition, int]] = set()

    def lanes(self) -> list[Lane]:
        """Split the batch so that each key's messages are in one lane, oldest first, even across topics.

        Within a partition the order is Kafka's; between partitions it is that of the timestamps. A message without a key shares
        the lane of its partition.
        """
        in_order = [[(partition, record) for record in records] for partition, records in self._records.items()]
        lanes: dict[Any, list[tuple[Partition, Record]]] = defaultdict(list)
        for partition, record in heapq.merge(*in_order, key=lambda entry: entry[1].timestamp):
            lanes[partition if record.key is None else record.key].append((partition, record))
        return list(lanes.values())

    async def run(self, lane: Lane, handle: Callable[[Record], Awaitable[bool]]) -> None:
        """Handle a lane's messages one after the other, until one is not settled: nothing of its key may overtake it."""
        for partition, record in lane:
            if not await handle(record):
                return
            self._settled.add((partition, record.offset))

    def progress(self) -> dict[Partition, int]:
        """Return the offset to commit for each partition that got anywhere: that of its first message not settled, or the end."""
        first = {partition: records[0].offset for partition, records in self._records.items()}
        return {partition: offset for partition, offset in self._next_offsets().items() if offset > first[partition]}

    def stuck(self) -> dict[Partition, int]:
        """Return the partitions that must be read again, each from its first message that is not settled."""
        end = {partition: records[-1].offset + 1 for partition, records in self._records.items()}
        return {partition: offset for partition, offset in self._next_offsets().items() if offset < end[partition]}

    def _next_offsets(self) -> dict[Partition, int]:
        return {
            partition: next(
                (record.offset for record in records if (partition, record.offset) not in self._settled), records[-1].offset + 1
            )
            for partition, records in self._records.items()
        }
