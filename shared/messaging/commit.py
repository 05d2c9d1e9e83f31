"""Committing offsets as the member that read the messages, or not at all.

aiokafka's own `commit` repeats itself for as long as it takes, and as whoever we are by then. Once the broker has forgotten us,
be it that we were silent for too long or that it came back empty, that is nobody; and from nobody Kafka takes any offset while
a group has no members. Offsets of a log that is gone would then hide the messages of the new one.
"""

from collections.abc import Mapping
from typing import Any

from aiokafka.errors import (  # type: ignore[import-untyped]  # aiokafka ships no types
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]

from shared.messaging.batch import Partition

REFUSED = (CommitFailedError, IllegalGenerationError, IllegalStateError, RebalanceInProgressError, UnknownMemberIdError)
"""What tells that the partitions are, or will soon be, somebody else's."""

Member = tuple[str, int]
NOBODY: Member = ("", -1)
"""Who we are while no partitions are assigned to us."""


def member_of(client: Any) -> Member:  # noqa: ANN401  # aiokafka's consumer, which has no type of its own
    """Return as which member, and of which generation of its group, a client would speak now."""
    coordinator = client._coordinator  # noqa: SLF001  # no other way to it
    return coordinator.member_id, coordinator.generation


async def commit_as(member: Member, client: Any, offsets: Mapping[Partition, int]) -> None:  # noqa: ANN401  # see above
    """Commit offsets as this member; one of `REFUSED`: it is no more; any other `KafkaError`: that may be tried again."""
    if member == NOBODY or member != member_of(client) or not offsets.keys() <= client.assignment():
        raise CommitFailedError("not the member any more that read the messages")
    coordinator = client._coordinator  # noqa: SLF001  # its `commit_offsets` would repeat itself
    with_metadata = {partition: OffsetAndMetadata(offset, "") for partition, offset in offsets.items()}
    await coordinator._do_commit_offsets(None, with_metadata)  # noqa: SLF001  # puts the member in the request before it waits
