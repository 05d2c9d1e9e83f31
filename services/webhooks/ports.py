"""What this service needs of the world outside it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from shared.domain.delivery import AttemptError, Delivery, DueDelivery
from shared.domain.tenant import Tenant
from shared.domain.transcript import Transcript
from shared.domain.webhook import DisabledReason, WebhookEndpoint
from shared.events.event import Event


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one POST: a status, or the error for which there was none."""

    status_code: int | None = None
    error: AttemptError | None = None
    response: str = ""
    retry_after: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the receiver has taken the event."""
        return self.status_code is not None and 200 <= self.status_code <= 299  # noqa: PLR2004 - every 2xx


class Sender(Protocol):
    """Posts to customers' servers."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, within_s: float) -> Answer:
        """Post once, within the usual time limit or `within_s` seconds if that is shorter.

        Whatever the other side does is an answer, never an exception.
        """


class Endpoints(Protocol):
    """Where customers hear of events; an endpoint whose secrets cannot be opened is read without them."""

    async def subscribed(self, tenant: Tenant, *event_types: str) -> Sequence[WebhookEndpoint]:
        """Return the enabled endpoints that hear of any of these types of events."""

    async def get(self, tenant: Tenant, endpoint_id: str) -> WebhookEndpoint | None:
        """Return the endpoint unless it is deleted."""

    async def disable(self, attempted: WebhookEndpoint, reason: DisabledReason) -> bool:
        """Stop sending to the endpoint; False when it is disabled, or no longer as it was `attempted`."""

    async def note_failure(self, attempted: WebhookEndpoint, at: datetime) -> datetime | None:
        """Note a failed attempt and return when the run of failures began; None when the endpoint is not as `attempted`."""

    async def note_success(self, attempted: WebhookEndpoint) -> None:
        """End a run of failures, if there is one and the endpoint is still as it was `attempted`."""


class NewDeliveries(Protocol):
    """Where deliveries are made."""

    async def draft_new(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Store those that are not there yet and return them, as yet not for good."""

    async def add_new(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Store those that are not there (any more) for good, and return them."""

    async def erase_texts(self, tenant: Tenant, recording_id: str) -> None:
        """Erase the text of a deleted recording wherever a delivery holds it."""


class ClaimedDeliveries(Protocol):
    """Where the results of claims are kept."""

    async def record(self, claimed: Delivery, after: Delivery) -> bool:
        """Store what became of a claim; False when a newer claim holds the delivery."""


class DueDeliveries(Protocol):
    """The queue of deliveries whose time has come."""

    async def next_due(self, after_endpoint: str, busy: Sequence[str]) -> DueDelivery | None:
        """Return a due delivery of the first endpoint after `after_endpoint` that has one and is not `busy`."""

    async def due_of(self, endpoint_id: str, limit: int) -> Sequence[DueDelivery]:
        """Return what is due at an endpoint, the longest first."""

    async def claim(self, due: DueDelivery, worker: str, until: datetime) -> Delivery | None:
        """Take the delivery until the lease ends; None when another was faster."""

    async def hold_due(self, endpoint_id: str, until: datetime) -> int:
        """Have what is due at a disabled endpoint wait until then; return how many deliveries that were."""

    async def resume(self, endpoint_id: str) -> int:
        """Make due at once what waits for an endpoint; return how many deliveries that were."""

    async def cancel_due(self, endpoint_id: str) -> int:
        """Cancel what is due at an endpoint; return how many deliveries that were."""


class TranscriptSource(Protocol):
    """The texts of transcriptions."""

    async def get(self, tenant: Tenant, transcription_id: str) -> Transcript | None:
        """Return the transcript, if there is one."""


class EventLog(Protocol):
    """Every event kept, and of which this service has not yet heard."""

    async def not_fanned_out(self, older_than: datetime, limit: int) -> Sequence[Event]:
        """Return events without deliveries, oldest first."""

    async def fanned_out(self, event_ids: Sequence[str]) -> None:
        """Remember that the deliveries of these events are made."""

    async def fanned_out_among(self, event_ids: Sequence[str]) -> frozenset[str]:
        """Return those of these events of which that is remembered."""
