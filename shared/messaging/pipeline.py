"""What every message passes on its way to a handler: decoding, the log line, metrics, retries and the dead-letter topic."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.errors import PermanentFailure, TransientFailure
from shared.domain.trace import traced
from shared.events.codec import decode
from shared.events.event import Event
from shared.messaging.dead_letter import DeadLetters, Record
from shared.messaging.unread import UnreadRecord
from shared.telemetry.log_lines import describe
from shared.telemetry.logs import bind, get_logger, wide_event
from shared.telemetry.metrics import message_retries_total, message_seconds, messages_handled_total

log = get_logger()

_MOST_DOUBLINGS = 60  # of the first delay: any ceiling is far below, and no float overflows however long an outage lasts

Handler = Callable[[Any], Awaitable[None]]  # takes the one event type it is registered for


class Outcome(StrEnum):
    """What became of a message."""

    OK = "ok"
    DEAD_LETTER = "dead_letter"
    HANDED_BACK = "handed_back"

    @property
    def settled(self) -> bool:
        """Whether the message is done with, so that its offset may move on."""
        return self is not Outcome.HANDED_BACK


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long one message is tried before it is given up or handed back.

    Transient failures are tried for `transient_budget_s`, then the message is handed back to Kafka and read again later: it
    stays until what we depend on is back. Errors nobody foresaw are tried `unforeseen_attempts` times. A handler that takes
    longer than `attempt_timeout_s` is cancelled, as a transient failure. Together these stay far below the five minutes
    after which Kafka takes a silent consumer's partitions away.
    """

    first_delay_s: float = 0.05
    most_delay_s: float = 2.0
    transient_budget_s: float = 5.0
    unforeseen_attempts: int = 4
    attempt_timeout_s: float = 120.0

    def delay_s(self, attempt: int) -> float:
        """Return how long to wait after the `attempt`th failure: doubling, with jitter, so that replicas do not fall in step."""
        ceiling = min(self.most_delay_s, self.first_delay_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret


class Misrouted(Exception):
    """A message lies in a topic that its type does not name, or that this group has no handler for."""


class Pipeline:
    """Carries the messages of one consumer group to their handlers."""

    def __init__(
        self, group: str, handlers: Mapping[type[Event], Handler], dead_letters: DeadLetters, policy: RetryPolicy
    ) -> None:
        self._group = group
        self._handlers = {str(kind.__struct_config__.tag): handler for kind, handler in handlers.items()}
        self._dead_letters, self._policy = dead_letters, policy
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """From now on hand a failing message back at once, instead of waiting for its next attempt."""
        self._draining.set()

    async def handle(self, record: Record) -> Outcome:
        """Take one message as far as it goes; never raises but when cancelled."""
        began = time.perf_counter()
        with wide_event(log, "message", topic=record.topic, group=self._group, offset=record.offset) as line:
            line["partition"] = record.partition
            line["queued_ms"] = round(time.time() * 1000 - record.timestamp)
            outcome = line["outcome"] = await self._take(record, line)
        message_seconds.labels(record.topic, self._group).observe(time.perf_counter() - began)
        messages_handled_total.labels(record.topic, self._group, outcome).inc()
        return outcome

    async def _take(self, record: Record, line: dict[str, Any]) -> Outcome:
        if self._dead_letters.flooded:
            return Outcome.HANDED_BACK  # the consumer is about to stop; what is not yet given up must stay
        try:
            event = self._read(record)
        except Exception as error:  # noqa: BLE001  # whatever reading it raises, nobody can read it
            return await self._give_up(record, error, line)
        line |= {"event_id": event.event_id, "recording_id": event.recording_id, "trace_id": event.trace_id}
        with traced(event.trace_id), bind(event_id=event.event_id, recording_id=event.recording_id):
            return await self._attempt(record, event, line)

    def _read(self, record: Record) -> Event:
        if isinstance(record, UnreadRecord):
            raise record.error
        event = decode(record.value or b"")
        if event.type != record.topic or event.type not in self._handlers:
            raise Misrouted(f"a {event.type} in {record.topic}")
        return event

    async def _attempt(self, record: Record, event: Event, line: dict[str, Any]) -> Outcome:
        began = time.monotonic()
        while True:
            attempt = line["attempt"] = line.get("attempt", 0) + 1
            error = await self._call(event, attempt)
            if error is None:
                return Outcome.OK
            if self._hopeless(error, attempt):
                return await self._give_up(record, error, line)
            delay_s = self._policy.delay_s(attempt)
            if self._draining.is_set() or self._over_budget(error, time.monotonic() + delay_s - began):
                line |= describe(error, stack=False)
                return Outcome.HANDED_BACK
            message_retries_total.labels(record.topic).inc()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), delay_s)

    async def _call(self, event: Event, attempt: int) -> Exception | None:
        try:
            with bind(attempt=attempt):
                async with asyncio.timeout(self._policy.attempt_timeout_s):
                    await self._handlers[event.type](event)
        except Exception as error:  # noqa: BLE001  # whatever a handler raises ends as a retry or a dead letter
            return error
        return None

    def _hopeless(self, error: Exception, attempt: int) -> bool:
        if _transient(error):
            return False
        return isinstance(error, PermanentFailure) or attempt >= self._policy.unforeseen_attempts

    def _over_budget(self, error: Exception, spent_s: float) -> bool:
        return _transient(error) and spent_s > self._policy.transient_budget_s

    async def _give_up(self, record: Record, error: Exception, line: dict[str, Any]) -> Outcome:
        line |= describe(error, stack=not isinstance(error, PermanentFailure | msgspec.DecodeError | Misrouted))
        try:
            await self._dead_letters.bury(record, error, line.get("attempt", 0))
        except Exception as unburied:  # noqa: BLE001  # one message may hold up its partition, never its consumer
            line["unburied"] = f"{type(unburied).__name__}: {unburied}"
            return Outcome.HANDED_BACK
        return Outcome.DEAD_LETTER


def _transient(error: Exception) -> bool:
    return isinstance(error, TransientFailure | TimeoutError)
