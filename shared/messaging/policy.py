"""How the messages of a group are taken: what `consume` lets a service choose, with what is right for most."""

import msgspec

from shared.messaging.dead_letter import DeadLetterLimit
from shared.messaging.pipeline import RetryPolicy


class ConsumerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How a group's messages are taken."""

    concurrency: int = 64  # messages of different keys handled at a time
    most_records: int = 500  # in one batch
    commit_after_s: float = 0.2  # what is settled is committed so much later, with all that was settled meanwhile
    rest_s: float = 2.0  # a partition whose message was handed back is not read for so long
    rejoin_s: float = 0.5  # between two attempts to join the group
    retry: RetryPolicy = RetryPolicy()
    dead_letters: DeadLetterLimit = DeadLetterLimit()
