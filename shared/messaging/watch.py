"""Watching partitions: which stand where no reader should stand."""

from collections.abc import Mapping

import msgspec

from shared.messaging.batch import Partition

CERTAIN_AFTER = 3  # looks at the same position; ends and positions are not asked for in one breath


class Findings(msgspec.Struct, frozen=True):
    """What is certain after a look.

    `beyond`: partitions read past their end. The broker came back empty: Kafka says so when asked for messages, Tansu answers
    with nothing until the end has caught up. `still`: partitions with messages that do not come, each reported once.
    """

    beyond: tuple[Partition, ...]
    still: tuple[Partition, ...]


class PartitionWatch:
    """Remembers what looked wrong, until it is certain or has passed."""

    def __init__(self) -> None:
        self._doubts: dict[Partition, tuple[int, int]] = {}  # position and looks
        self._reported: set[tuple[Partition, int]] = set()
        self._rewound: dict[Partition, int] = {}

    def forget(self) -> None:
        """Begin anew: the partitions were assigned again."""
        self._doubts.clear()
        self._rewound.clear()

    def rewound(self, partition: Partition, position: int) -> None:
        """Note that the partition, read up to `position`, is read again from its beginning.

        If reading comes as far again it is the end that was wrong: Tansu may answer with one that lags behind for ever once a
        producer was killed. Then nothing is beyond it, until the two have met.
        """
        self._rewound[partition] = position
        self._doubts.pop(partition, None)

    def look(self, positions: Mapping[Partition, int], ends: Mapping[Partition, int], *, idle: bool) -> Findings:
        """Compare where we stand with where partitions end; only an `idle` consumer stands still."""
        beyond = {partition for partition, position in positions.items() if self._is_beyond(partition, position, ends[partition])}
        behind = {partition for partition, position in positions.items() if idle and position < ends[partition]}
        certain = [partition for partition in beyond | behind if self._doubt(partition, positions[partition])]
        for partition in self._doubts.keys() - beyond - behind:
            del self._doubts[partition]
        return Findings(
            beyond=tuple(partition for partition in certain if partition in beyond),
            still=tuple(
                partition for partition in certain if partition in behind and self._first(partition, positions[partition])
            ),
        )

    def _is_beyond(self, partition: Partition, position: int, end: int) -> bool:
        if position == end:
            self._rewound.pop(partition, None)
        return end < position < self._rewound.get(partition, position + 1)

    def _doubt(self, partition: Partition, position: int) -> bool:
        last, looks = self._doubts.get(partition, (position, 0))
        looks = looks + 1 if last == position else 1
        self._doubts[partition] = (position, looks)
        return looks >= CERTAIN_AFTER

    def _first(self, partition: Partition, position: int) -> bool:
        first = (partition, position) not in self._reported
        self._reported.add((partition, position))
        return first
