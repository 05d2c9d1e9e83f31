"""The delivery: one event on its way to one endpoint, its state table and its attempts."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.clock import now
from shared.domain.ids import later_derived_id
from shared.domain.tenant import Mode, Tenant
from shared.domain.transition import TransitionRefused, check_move

ATTEMPTS_KEPT = 50
"""A delivery that is replayed again and again keeps only its newest attempts."""


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    TESTING = "testing"  # a test waits for its one attempt
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # every attempt of the schedule failed, or the endpoint answered that it is gone
    CANCELLED = "cancelled"  # the endpoint was deleted or disabled first


FOLLOWS: Mapping[DeliveryStatus, frozenset[DeliveryStatus]] = {
    DeliveryStatus.PENDING: frozenset({DeliveryStatus.SUCCEEDED, DeliveryStatus.FAILED, DeliveryStatus.CANCELLED}),
    DeliveryStatus.TESTING: frozenset({DeliveryStatus.SUCCEEDED, DeliveryStatus.FAILED, DeliveryStatus.CANCELLED}),
    # Whatever has ended may be replayed by the customer.
    DeliveryStatus.SUCCEEDED: frozenset({DeliveryStatus.PENDING, DeliveryStatus.TESTING}),
    DeliveryStatus.FAILED: frozenset({DeliveryStatus.PENDING, DeliveryStatus.TESTING}),
    DeliveryStatus.CANCELLED: frozenset({DeliveryStatus.PENDING, DeliveryStatus.TESTING}),
}
"""Which status may follow which."""


class AttemptError(StrEnum):
    """Why an attempt got no answer."""

    TIMEOUT = "timeout"
    DNS_FAILED = "dns_failed"
    CONNECTION_FAILED = "connection_failed"
    TLS_FAILED = "tls_failed"
    ADDRESS_REFUSED = "address_refused"  # private, loopback, link-local …: we do not connect there
    INVALID_URL = "invalid_url"
    INVALID_RESPONSE = "invalid_response"  # not HTTP
    INTERNAL_ERROR = "internal_error"  # a fault of ours


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One POST: `status_code` when there was an answer, else `error`; `response` is the beginning of the answer's body.

    A `manual` one was asked for by the customer: a test, or the first after a replay.
    """

    number: int
    at: datetime
    duration_ms: int
    status_code: int | None = None
    error: AttemptError | None = None
    response: str = ""
    manual: bool = False


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """A delivery as MongoDB keeps it; `body` is what every attempt sends, byte for byte, empty once its text was erased.

    `next_attempt_at` is when it may be claimed: its time by the schedule, the end of the lease while a worker holds it, None
    once it has ended. `token` grows with every claim; only the newest may write. `tries` counts the attempts since it was made or
    replayed, `attempts_made` all of them. `replayed_by` names the request of the newest replay, where that was sent with an
    idempotency key. `occurred_at` and `trace_id` are those of the event. A `test` carries an example that never happened; it is
    attempted once, soon and even while its endpoint is disabled.
    """

    id: str
    event_id: str
    event_type: str
    endpoint_id: str
    project_id: str
    mode: Mode
    recording_id: str
    occurred_at: datetime
    body: bytes
    status: DeliveryStatus = DeliveryStatus.PENDING
    next_attempt_at: datetime | None
    token: int = 0
    worker: str | None = None
    tries: int = 0
    attempts_made: int = 0
    attempts: tuple[Attempt, ...] = ()
    replays: int = 0
    replayed_by: str = ""
    test: bool = False
    trace_id: str | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def tenant(self) -> Tenant:
        """Whose delivery it is."""
        return Tenant(self.project_id, self.mode)

    @property
    def asked_for(self) -> bool:
        """Whether the next attempt is one that the customer asked for."""
        return self.test or (self.tries == 0 and self.replays > 0)

    def changed(self, **fields: Any) -> "Delivery":  # noqa: ANN401 - the fields of the struct itself, checked by msgspec
        """Return the delivery with `fields` set; a `status` among them must be allowed by the table."""
        status = fields.get("status", self.status)
        if status is not self.status:
            check_move(FOLLOWS, self.id, self.status, status)
        return msgspec.structs.replace(self, updated_at=now(), **fields)

    def attempted(self, attempt: Attempt, status: DeliveryStatus, next_attempt_at: datetime | None) -> "Delivery":
        """Return the delivery after `attempt`: ended as `status`, or pending until `next_attempt_at`."""
        return self.changed(
            status=status,
            next_attempt_at=next_attempt_at,
            worker=None,
            tries=self.tries + 1,
            attempts_made=self.attempts_made + 1,
            attempts=(*self.attempts, attempt)[-ATTEMPTS_KEPT:],
        )

    def handed_back(self) -> "Delivery":
        """Return the delivery as anyone may claim it at once."""
        return self.changed(next_attempt_at=now(), worker=None)

    def replayed(self, by: str = "") -> "Delivery":
        """Return an ended delivery to the beginning of the schedule; a pending one is refused, and one whose text was erased."""
        status = DeliveryStatus.TESTING if self.test else DeliveryStatus.PENDING
        if not self.body:
            raise TransitionRefused(self.id, "erased", status)
        check_move(FOLLOWS, self.id, self.status, status)
        counts: dict[str, Any] = {"tries": 0, "replays": self.replays + 1, "replayed_by": by}
        return self.changed(status=status, next_attempt_at=now(), worker=None, **counts)


class DueDelivery(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """Enough of a delivery to claim it."""

    id: str
    endpoint_id: str
    project_id: str
    mode: Mode
    token: int

    @property
    def tenant(self) -> Tenant:
        """Whose delivery it is."""
        return Tenant(self.project_id, self.mode)


class DeliveryLine(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """What a list shows of a delivery: not its body, and of its attempts the newest alone."""

    id: str
    event_id: str
    event_type: str
    endpoint_id: str
    recording_id: str
    status: DeliveryStatus
    test: bool = False
    next_attempt_at: datetime | None
    attempts_made: int
    attempts: tuple[Attempt, ...]
    created_at: datetime
    updated_at: datetime


def delivery_id(event_id: str, endpoint_id: str, occurred_at: datetime) -> str:
    """Derive the id of the one delivery of an event to an endpoint; it sorts by the time of the event."""
    return later_derived_id("whd", int(occurred_at.timestamp() * 1000), event_id, endpoint_id)
