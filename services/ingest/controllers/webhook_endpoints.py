"""`/v1/webhook-endpoints`, and `/v1/webhooks` as older clients call it."""

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.paging import DEFAULT_LIMIT, PageRequest
from services.ingest.views.pages import PageView, page_view
from services.ingest.views.webhook_endpoints import EndpointView, NewEndpointView, endpoint_view, new_endpoint_view
from services.ingest.webhooks.bodies import ChangeEndpoint, CreateEndpoint, RotateSecret
from services.ingest.webhooks.endpoints import ManageEndpoints


class EndpointController(Controller):
    """Where a project hears of its events."""

    path = "/v1/webhook-endpoints"
    tags = ("Webhooks",)

    @post("/", guards=[requires("webhooks:write")], refuses=[refusals.LimitReached, refusals.NotFound])
    async def create(
        self, request: ApiRequest, data: JSONBody[CreateEndpoint], manage_endpoints: NamedDependency[ManageEndpoints]
    ) -> NewEndpointView:
        """Create an endpoint; its secret is in this answer only."""
        endpoint = await manage_endpoints.create(request.caller, data, request.context.claim)
        request.context.note(endpoint_id=endpoint.id)
        return new_endpoint_view(endpoint, endpoint.secrets[0])

    @get("/", guards=[requires("webhooks:read")])
    async def list_page(
        self,
        request: ApiRequest,
        manage_endpoints: NamedDependency[ManageEndpoints],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
    ) -> PageView[EndpointView]:
        """List endpoints, newest first, without their secrets."""
        page = await manage_endpoints.page(request.caller, PageRequest(limit, offset, cursor))
        return page_view(page, [endpoint_view(item) for item in page.items])

    @get("/{endpoint_id:str}", guards=[requires("webhooks:read")], refuses=[refusals.NotFound])
    async def read(
        self, request: ApiRequest, endpoint_id: FromPath[str], manage_endpoints: NamedDependency[ManageEndpoints]
    ) -> EndpointView:
        """Read one endpoint, without its secret."""
        return endpoint_view(await manage_endpoints.get(request.caller, endpoint_id))

    @patch("/{endpoint_id:str}", guards=[requires("webhooks:write")], refuses=[refusals.NotFound])
    async def change(
        self,
        request: ApiRequest,
        endpoint_id: FromPath[str],
        data: JSONBody[ChangeEndpoint],
        manage_endpoints: NamedDependency[ManageEndpoints],
    ) -> EndpointView:
        """Change what the body names; enabled again, an endpoint is sent at once what waits for it."""
        return endpoint_view(await manage_endpoints.change(request.caller, endpoint_id, data))

    @post(
        "/{endpoint_id:str}/rotate-secret",
        status_code=200,
        guards=[requires("webhooks:write")],
        refuses=[refusals.NotFound, refusals.LimitReached],
    )
    async def rotate_secret(
        self,
        request: ApiRequest,
        endpoint_id: FromPath[str],
        data: JSONBody[RotateSecret],
        manage_endpoints: NamedDependency[ManageEndpoints],
    ) -> NewEndpointView:
        """Make a new secret, which is in this answer only; the one before stays valid for a while."""
        return new_endpoint_view(*await manage_endpoints.rotate_secret(request.caller, endpoint_id, data, request.context.claim))

    @delete("/{endpoint_id:str}", guards=[requires("webhooks:write")], refuses=[refusals.NotFound])
    async def remove(
        self, request: ApiRequest, endpoint_id: FromPath[str], manage_endpoints: NamedDependency[ManageEndpoints]
    ) -> None:
        """Delete an endpoint."""
        await manage_endpoints.delete(request.caller, endpoint_id)


class WebhookAliasController(EndpointController):
    """The same under its older name."""

    path = "/v1/webhooks"
