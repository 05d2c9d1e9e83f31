"""Deliveries: `/v1/webhook-endpoints/{id}/deliveries`, `…/test` and `/v1/webhook-deliveries`."""

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.paging import DEFAULT_LIMIT, PageRequest
from services.ingest.views.pages import PageView, page_view
from services.ingest.views.webhook_deliveries import DeliveryLineView, DeliveryView, delivery_line_view, delivery_view
from services.ingest.webhooks.bodies import SendTest
from services.ingest.webhooks.deliveries import ManageDeliveries
from shared.domain.delivery import DeliveryStatus
from shared.domain.transition import TransitionRefused

_ENDED, _UNDER_WAY = 200, 202


class EndpointDeliveryController(Controller):
    """What was sent to an endpoint."""

    path = "/v1/webhook-endpoints/{endpoint_id:str}"
    tags = ("Webhooks",)

    @get("/deliveries", guards=[requires("webhooks:read")], refuses=[refusals.NotFound, refusals.InvalidRequest])
    async def list_page(  # noqa: PLR0913, PLR0917 - the query parameters of the contract
        self,
        request: ApiRequest,
        endpoint_id: FromPath[str],
        manage_deliveries: NamedDependency[ManageDeliveries],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
        status: FromQuery[DeliveryStatus | None] = None,
        event_type: FromQuery[str | None] = None,
    ) -> PageView[DeliveryLineView]:
        """List an endpoint's deliveries, newest first, without bodies."""
        page = await manage_deliveries.page(
            request.caller, endpoint_id, PageRequest(limit, offset, cursor), status=status, event_type=event_type
        )
        return page_view(page, [delivery_line_view(line) for line in page.items])

    @post(
        "/test",
        status_code=_ENDED,
        guards=[requires("webhooks:write")],
        refuses=[refusals.NotFound, refusals.LimitReached],
        also={_UNDER_WAY: DeliveryView},
    )
    async def test(
        self,
        request: ApiRequest,
        endpoint_id: FromPath[str],
        data: JSONBody[SendTest],
        manage_deliveries: NamedDependency[ManageDeliveries],
    ) -> Response[DeliveryView]:
        """Send a signed example at once and say what came of it; 202 when nothing has as yet: read the delivery later."""
        delivery = await manage_deliveries.test(request.caller, endpoint_id, data.event_type, request.context.claim)
        request.context.note(delivery_id=delivery.id)
        status = _UNDER_WAY if delivery.status is DeliveryStatus.TESTING else _ENDED
        return Response(delivery_view(delivery), status_code=status)


class WebhookAliasDeliveryController(EndpointDeliveryController):
    """The same under the older name of endpoints."""

    path = "/v1/webhooks/{endpoint_id:str}"


class DeliveryController(Controller):
    """Single deliveries."""

    path = "/v1/webhook-deliveries/{delivery_id:str}"
    tags = ("Webhooks",)

    @get("/", guards=[requires("webhooks:read")], refuses=[refusals.NotFound])
    async def read(
        self, request: ApiRequest, delivery_id: FromPath[str], manage_deliveries: NamedDependency[ManageDeliveries]
    ) -> DeliveryView:
        """Read one delivery with every attempt and the body that each of them sends."""
        return delivery_view(await manage_deliveries.get(request.caller, delivery_id))

    @post(
        "/replay",
        status_code=_UNDER_WAY,
        guards=[requires("webhooks:write")],
        refuses=[refusals.NotFound, refusals.EndpointDisabled, TransitionRefused],
    )
    async def replay(
        self, request: ApiRequest, delivery_id: FromPath[str], manage_deliveries: NamedDependency[ManageDeliveries]
    ) -> DeliveryView:
        """Send an ended delivery again: the same bytes under a new signature."""
        return delivery_view(await manage_deliveries.replay(request.caller, delivery_id, request.context.claim))
