"""Deliveries as the owner of their endpoint sees them: listed, read, replayed, and tests of an endpoint (A19)."""

import asyncio

from services.ingest.paging import Page, Pager, PageRequest, given
from services.ingest.refusals import EndpointDisabled, InvalidRequest, LimitReached, not_found
from services.ingest.webhooks.endpoints import ManageEndpoints
from services.ingest.webhooks.examples import body_of_example, example_of
from services.ingest.webhooks.ports import DeliveryStore
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.delivery import Delivery, DeliveryLine, DeliveryStatus, delivery_id
from shared.domain.kept_answer import Claim
from shared.domain.trace import current_trace
from shared.domain.webhook import ALL_EVENTS, EndpointStatus, WebhookEndpoint
from shared.events.topics import PUBLIC_EVENT_TYPES

MOST_TESTS = 5
"""Tests of one endpoint at a time."""
_USUAL_EXAMPLE = "recording.uploaded"
_FIRST_LOOK_S = 0.1
_LONGEST_PAUSE_S = 0.5


class ManageDeliveries:
    """What became of events on their way, and the same way once more.

    Nothing is sent from here: a test or a replay is a delivery that waits, and the webhook stage takes it up at once.
    """

    def __init__(self, deliveries: DeliveryStore, endpoints: ManageEndpoints, pager: Pager, *, test_wait_s: float) -> None:
        self._deliveries, self._endpoints, self._pager, self._test_wait_s = deliveries, endpoints, pager, test_wait_s

    async def page(
        self, caller: Caller, endpoint_id: str, request: PageRequest, *, status: DeliveryStatus | None, event_type: str | None
    ) -> Page[DeliveryLine]:
        """Return a page of an endpoint's deliveries, newest first, of those that match every filter given."""
        await self._endpoints.get(caller, endpoint_id)
        _check_type(event_type)
        matching = given(endpoint_id=endpoint_id, status=status, event_type=event_type)

        async def read(limit: int, before: str | None, offset: int) -> list[DeliveryLine]:
            return await self._deliveries.page(caller.tenant, matching, limit, before=before, offset=offset)

        return await self._pager.page(caller.tenant, f"deliveries of {endpoint_id}", request, read)

    async def get(self, caller: Caller, wanted: str) -> Delivery:
        """Return one, with its body and every attempt that is kept."""
        delivery = await self._deliveries.get(caller.tenant, wanted)
        if delivery is None:
            raise not_found("webhook delivery")
        return delivery

    async def replay(self, caller: Caller, wanted: str, claim: Claim | None = None) -> Delivery:
        """Send an ended delivery again, from the beginning of the schedule: the same bytes under a new signature.

        Raises `TransitionRefused` for one that waits anyway, `EndpointDisabled`, and `NotFound` when the endpoint is deleted. One
        that an earlier run of the same claim has replayed is returned as it stands.
        """
        delivery = await self.get(caller, wanted)
        replay = "" if claim is None else claim.new_id("replay")
        if replay and delivery.replayed_by == replay:
            return delivery
        endpoint = await self._endpoints.get(caller, delivery.endpoint_id)
        if endpoint.status is EndpointStatus.DISABLED and not delivery.test:
            raise EndpointDisabled(f"{endpoint.id} is disabled; enable it first")
        replayed = await self._deliveries.replay(caller.tenant, wanted, replay)
        if replayed is None:
            raise not_found("webhook delivery")
        return replayed

    async def test(self, caller: Caller, endpoint_id: str, event_type: str | None, claim: Claim | None = None) -> Delivery:
        """Send an example of an event, once and at once, even to a disabled endpoint; wait a while for what comes of it.

        The delivery returned is still `testing` when that takes longer than the wait. An earlier run of the same claim has
        sent it already.
        """
        endpoint = await self._endpoints.get(caller, endpoint_id)
        _check_type(event_type)
        if claim is not None and (sent := await self._deliveries.get(caller.tenant, claim.new_id("whd"))):
            return await self._ended(caller, sent)
        if await self._deliveries.tests_under_way(endpoint_id, MOST_TESTS) >= MOST_TESTS:
            raise LimitReached(f"{MOST_TESTS} tests of this endpoint are under way; wait until one has ended")
        waiting = _test_delivery(endpoint, event_type or _usual_type(endpoint), claim)
        await self._deliveries.add_new([waiting])
        return await self._ended(caller, waiting)

    async def _ended(self, caller: Caller, waiting: Delivery) -> Delivery:
        """Return the delivery when it has ended or the wait is over."""
        pause_s, waited_s, present = _FIRST_LOOK_S, 0.0, waiting
        while present.status is DeliveryStatus.TESTING and waited_s < self._test_wait_s:
            await asyncio.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(1.5 * pause_s, _LONGEST_PAUSE_S)
            present = await self._deliveries.get(caller.tenant, waiting.id) or present
        return present


def _check_type(event_type: str | None) -> None:
    if event_type is not None and event_type not in PUBLIC_EVENT_TYPES:
        message = f"there is no event {event_type[:80]}"
        raise InvalidRequest(message, param="event_type", details={"events": PUBLIC_EVENT_TYPES})


def _usual_type(endpoint: WebhookEndpoint) -> str:
    """Return the first event that the endpoint asks for, of those that are ever sent."""
    heard = [] if ALL_EVENTS in endpoint.events else [event for event in endpoint.events if event in PUBLIC_EVENT_TYPES]
    return heard[0] if heard else _USUAL_EXAMPLE


def _test_delivery(endpoint: WebhookEndpoint, event_type: str, claim: Claim | None) -> Delivery:
    event = example_of(event_type, endpoint.tenant)
    at = now()
    return Delivery(
        id=delivery_id(event.event_id, endpoint.id, event.occurred_at) if claim is None else claim.new_id("whd"),
        event_id=event.event_id,
        event_type=event.type,
        endpoint_id=endpoint.id,
        project_id=endpoint.project_id,
        mode=endpoint.mode,
        recording_id=event.recording_id,
        occurred_at=event.occurred_at,
        body=body_of_example(event),
        status=DeliveryStatus.TESTING,
        next_attempt_at=at,
        test=True,
        trace_id=current_trace(),
        created_at=at,
        updated_at=at,
    )
