"""`/v1/end-users`: the people whose speech is recorded."""

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.end_users.bodies import CreateEndUser
from services.ingest.end_users.manage import ManageEndUsers
from services.ingest.paging import DEFAULT_LIMIT, PageRequest
from services.ingest.views.end_users import EndUserView, end_user_view
from services.ingest.views.pages import PageView, page_view


class EndUserController(Controller):
    """End users of a project."""

    path = "/v1/end-users"
    tags = ("End users",)

    @post("/", guards=[requires("end_users:write")], refuses=[refusals.ResourceAlreadyExists, refusals.NotFound])
    async def create(
        self, request: ApiRequest, data: JSONBody[CreateEndUser], manage_end_users: NamedDependency[ManageEndUsers]
    ) -> EndUserView:
        """Create an end user; its `external_id`, if it has one, is nobody else's in the project."""
        end_user = await manage_end_users.create(request.caller, data, request.context.claim)
        request.context.note(end_user_id=end_user.id)
        return end_user_view(end_user)

    @get("/", guards=[requires("end_users:read")], refuses=[refusals.InvalidRequest])
    async def list_page(  # noqa: PLR0913, PLR0917 - the query parameters of the contract
        self,
        request: ApiRequest,
        manage_end_users: NamedDependency[ManageEndUsers],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
        external_id: FromQuery[str | None] = None,
    ) -> PageView[EndUserView]:
        """List end users, newest first, or the one of exactly this `external_id`."""
        page = await manage_end_users.page(request.caller, PageRequest(limit, offset, cursor), external_id=external_id)
        return page_view(page, [end_user_view(item) for item in page.items])

    @get("/{end_user_id:str}", guards=[requires("end_users:read")], refuses=[refusals.NotFound])
    async def read(
        self, request: ApiRequest, end_user_id: FromPath[str], manage_end_users: NamedDependency[ManageEndUsers]
    ) -> EndUserView:
        """Read one end user."""
        return end_user_view(await manage_end_users.get(request.caller, end_user_id))

    @delete("/{end_user_id:str}", guards=[requires("end_users:write")], refuses=[refusals.NotFound])
    async def remove(
        self, request: ApiRequest, end_user_id: FromPath[str], manage_end_users: NamedDependency[ManageEndUsers]
    ) -> None:
        """Delete an end user: its devices are unbound, its recordings and transcriptions deleted."""
        await manage_end_users.delete(request.caller, end_user_id)
