"""Webhook deliveries and their attempts."""

from typing import Annotated, Any

import msgspec

from shared.domain.clock import wire_time, wire_time_or_none
from shared.domain.delivery import Attempt, Delivery, DeliveryLine, DeliveryStatus
from shared.domain.wire import an_id, one_of


class AttemptView(msgspec.Struct, kw_only=True):
    """One attempt: a status code when there was an answer, else an error."""

    number: int
    attempted_at: str
    duration_ms: int
    status_code: int | None
    error: str | None
    response: str
    manual: bool


class DeliveryLineView(msgspec.Struct, kw_only=True):
    """A delivery as a list shows it: without its body, and with its newest attempt alone."""

    id: Annotated[str, an_id("whd")]
    event_id: str
    event_type: str
    endpoint_id: str
    recording_id: str
    status: Annotated[str, one_of(DeliveryStatus)]
    test: bool
    attempts_made: int
    next_attempt_at: str | None
    last_attempt: AttemptView | None
    created_at: str
    updated_at: str


class DeliveryView(DeliveryLineView, kw_only=True):
    """A delivery with its attempts, oldest first, and the body that each of them sends; null once that was erased."""

    attempts: list[AttemptView]
    body: str | None


def delivery_line_view(line: DeliveryLine) -> DeliveryLineView:
    """Show a delivery in a list."""
    return DeliveryLineView(**_line_fields(line))


def delivery_view(delivery: Delivery) -> DeliveryView:
    """Show a delivery."""
    attempts = [_attempt_view(attempt) for attempt in delivery.attempts]
    return DeliveryView(**_line_fields(delivery), attempts=attempts, body=delivery.body.decode() or None)


def _line_fields(delivery: Delivery | DeliveryLine) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "endpoint_id": delivery.endpoint_id,
        "recording_id": delivery.recording_id,
        "status": delivery.status,
        "test": delivery.test,
        "attempts_made": delivery.attempts_made,
        "next_attempt_at": wire_time_or_none(delivery.next_attempt_at),
        "last_attempt": _attempt_view(delivery.attempts[-1]) if delivery.attempts else None,
        "created_at": wire_time(delivery.created_at),
        "updated_at": wire_time(delivery.updated_at),
    }


def _attempt_view(attempt: Attempt) -> AttemptView:
    return AttemptView(
        number=attempt.number,
        attempted_at=wire_time(attempt.at),
        duration_ms=attempt.duration_ms,
        status_code=attempt.status_code,
        error=attempt.error,
        response=attempt.response,
        manual=attempt.manual,
    )
