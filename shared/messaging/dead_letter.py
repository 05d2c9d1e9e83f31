"""Dead letters: messages that no retry can help, kept whole with where they came from and what went wrong."""

import contextlib
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka.errors import MessageSizeTooLargeError  # type: ignore[import-untyped]  # aiokafka ships no types
from faststream.kafka import KafkaBroker

from shared.domain.clock import wire_time
from shared.events.topics import DEAD_LETTER_TOPIC
from shared.messaging.outgoing import Headers, Message, as_sent
from shared.messaging.publisher import deliver
from shared.messaging.unread import UnreadRecord
from shared.telemetry.logs import get_logger
from shared.telemetry.metrics import dead_letters_total

log = get_logger()

STACK_LIMIT = 8_000
MESSAGE_LIMIT = 1_000

_LEFT_OUT = {"x-value": "left out"}

Record = Any  # aiokafka's ConsumerRecord, which has no type of its own


class DeadLetterLimit(msgspec.Struct, frozen=True, kw_only=True):
    """More than `most` dead letters within `window_s`: the fault is ours, not the messages', and consuming must stop."""

    most: int = 100
    window_s: float = 60


class TooManyDeadLetters(Exception):
    """The service gives up more messages than bad input explains; it stops before it has emptied the topics."""


class DeadLetters:
    """Gives up messages on behalf of one consumer group, and knows when there are too many of them."""

    def __init__(self, broker: KafkaBroker, group: str, limit: DeadLetterLimit) -> None:
        self._broker, self._group, self._limit = broker, group, limit
        self._buried_at: deque[float] = deque()

    @property
    def flooded(self) -> bool:
        """Whether more messages were given up within the window than the limit allows."""
        horizon = time.monotonic() - self._limit.window_s
        while self._buried_at and self._buried_at[0] < horizon:
            self._buried_at.popleft()
        return len(self._buried_at) > self._limit.most

    async def bury(self, record: Record, error: BaseException, attempts: int) -> None:
        """Publish `record` to the dead-letter topic, same key and value; once this returns its offset may move on.

        Raise `BrokerUnavailable` when Kafka does not acknowledge it. What is too large to be sent again is left out, the value
        first, then key and headers of its own; the headers say so, and where it still stands.
        """
        *larger, last = _letters(record, headers_of(record, error, attempts, self._group))
        await self._deliver(larger, last)
        self._buried_at.append(time.monotonic())
        dead_letters_total.labels(record.topic).inc()

    async def _deliver(self, larger: Sequence[Message], last: Message) -> None:
        for letter in larger:
            with contextlib.suppress(MessageSizeTooLargeError):
                return await deliver(self._broker, [letter])
        return await deliver(self._broker, [last])


def _letters(record: Record, found: dict[str, str]) -> Iterator[Message]:
    """Yield the letter whole, then ever less of it, for when it is too large: the last is not, whatever `record` is.

    Of a message that could not be read there is only the last.
    """
    if not isinstance(record, UnreadRecord):
        yield from _with_contents(record, found)
    yield Message(DEAD_LETTER_TOPIC, None, b"", _encoded(found | _LEFT_OUT))


def _with_contents(record: Record, found: dict[str, str]) -> Iterator[Message]:
    own = {name: (value or b"").decode(errors="backslashreplace") for name, value in record.headers}  # Kafka knows null ones
    yield Message(DEAD_LETTER_TOPIC, record.key, record.value, _encoded(own | found))
    yield Message(DEAD_LETTER_TOPIC, record.key, b"", _encoded(own | found | _LEFT_OUT))


def _encoded(fields: Mapping[str, str]) -> Headers:
    headers = {name: value.encode(errors="backslashreplace") for name, value in fields.items()}
    return as_sent(list(headers.items()), headers.get("event_id"))


def headers_of(record: Record, error: BaseException, attempts: int, service: str) -> dict[str, str]:
    """Say where `record` stands, what befell it and who gave it up."""
    return {
        "x-original-topic": record.topic,
        "x-original-partition": str(record.partition),
        "x-original-offset": str(record.offset),
        "x-error-type": f"{type(error).__module__}.{type(error).__qualname__}",
        "x-error-message": str(error)[:MESSAGE_LIMIT],
        "x-error-stack": "".join(traceback.format_exception(error))[-STACK_LIMIT:],
        "x-attempts": str(attempts),
        "x-service": service,
        "x-failed-at": wire_time(datetime.now(UTC)),
    }
