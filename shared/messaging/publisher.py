"""Publishing: every message acknowledged by all in-sync replicas, or an error within a bounded time."""

import asyncio
from collections.abc import Sequence

from aiokafka.errors import KafkaError, MessageSizeTooLargeError  # type: ignore[import-untyped]  # no types
from faststream.kafka import KafkaBroker

from shared.events.codec import encode
from shared.events.event import Event
from shared.messaging.broker import BrokerUnavailable, connect, producer_of, reopen
from shared.messaging.outgoing import Message, as_sent, send
from shared.messaging.topology import ensure_topics

PUBLISH_TIMEOUT_S = 5.0
PATIENCE_S = 1.0


class EventPublisher:
    """Publishes events, each to the topic named by its type and keyed by its recording."""

    def __init__(self, broker: KafkaBroker, timeout_s: float = PUBLISH_TIMEOUT_S) -> None:
        self._broker = broker
        self._timeout_s = timeout_s

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish all, in order per recording; return once every one is acknowledged.

        Raise `BrokerUnavailable` when that takes longer than the time limit. Some may have been published then, or will yet be:
        publishing them again is right, for the ids stay the same.
        """
        await deliver(self._broker, [message_of(event) for event in events], self._timeout_s)


def message_of(event: Event) -> Message:
    """Return the message that carries `event`; its headers say what can be known without decoding it."""
    event_id = event.event_id.encode()
    headers = [("event_id", event_id)]
    if event.trace_id:
        headers.append(("trace_id", event.trace_id.encode()))
    return Message(event.type, event.recording_id.encode(), encode(event), as_sent(headers, event_id))


async def deliver(broker: KafkaBroker, messages: Sequence[Message], timeout_s: float = PUBLISH_TIMEOUT_S) -> None:
    """Send `messages` and return when all are acknowledged; raise `BrokerUnavailable` after `timeout_s`.

    Topics that are missing (a broker that came back empty) are made on the way. A message larger than the broker takes raises
    `MessageSizeTooLargeError`: no retry can help.
    """
    if not messages:
        return
    sending = asyncio.create_task(_send_all(broker, messages))
    try:
        async with asyncio.timeout(timeout_s):
            await asyncio.wait({sending}, timeout=PATIENCE_S)
            if not sending.done():
                await ensure_topics(broker)
            await sending
    except TimeoutError as error:
        raise BrokerUnavailable(f"{len(messages)} messages were not acknowledged within {timeout_s:g} s") from error
    finally:
        sending.cancel()


async def _send_all(broker: KafkaBroker, messages: Sequence[Message]) -> None:
    """Send all over a connection that works; one that cannot recover is closed, so that the next is a new one."""
    await connect(broker)
    try:
        await send(producer_of(broker), messages)
    except MessageSizeTooLargeError:
        raise
    except KafkaError as error:
        if not error.retriable:  # aiokafka's producer does not come back from these: it was fenced, or lost its producer id
            await reopen(broker)
        raise BrokerUnavailable(f"Kafka did not take the messages: {error!r}") from error
