"""`/v1/devices`: what records."""

from litestar import Controller, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires, requires_device
from services.ingest.authentication import bearer
from services.ingest.devices import bodies
from services.ingest.devices.bind import BindDevices
from services.ingest.devices.grants import DeviceGrants, GrantAccess
from services.ingest.devices.heartbeat import TakeHeartbeat
from services.ingest.devices.manage import ManageDevices
from services.ingest.devices.state import ReportDevices
from services.ingest.paging import DEFAULT_LIMIT, PageRequest
from services.ingest.views import devices as views
from services.ingest.views.pages import PageView, page_view

_CREATED, _KNOWN = 201, 200


class DeviceController(Controller):
    """Devices of a project."""

    path = "/v1/devices"
    tags = ("Devices",)

    @post("/", guards=[requires("devices:write")], also={_KNOWN: views.DeviceView})
    async def register(
        self, request: ApiRequest, data: JSONBody[bodies.RegisterDevice], manage_devices: NamedDependency[ManageDevices]
    ) -> Response[views.DeviceView]:
        """Register a device; 200 with the device as it is when its serial number is known already."""
        device, new = await manage_devices.register(request.caller, data, request.context.claim)
        request.context.note(device_id=device.id)
        return Response(views.device_view(device), status_code=_CREATED if new else _KNOWN)

    @get("/", guards=[requires("devices:read")], refuses=[refusals.InvalidRequest])
    async def list_page(  # noqa: PLR0913, PLR0917 - the query parameters of the contract
        self,
        request: ApiRequest,
        manage_devices: NamedDependency[ManageDevices],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
        end_user_id: FromQuery[str | None] = None,
    ) -> PageView[views.DeviceView]:
        """List devices, newest first, perhaps those bound to one end user."""
        page = await manage_devices.page(request.caller, PageRequest(limit, offset, cursor), end_user_id=end_user_id)
        return page_view(page, [views.device_view(item) for item in page.items])

    @get("/stats", guards=[requires("devices:read")])
    async def stats(self, request: ApiRequest, report_devices: NamedDependency[ReportDevices]) -> views.DeviceStatsView:
        """Count the devices that are online, low on battery and short of storage."""
        return views.device_stats_view(await report_devices.stats(request.caller))

    @get("/{device_id:str}", guards=[requires("devices:read")], refuses=[refusals.NotFound])
    async def read(
        self, request: ApiRequest, device_id: FromPath[str], manage_devices: NamedDependency[ManageDevices]
    ) -> views.DeviceView:
        """Read one device."""
        return views.device_view(await manage_devices.get(request.caller, device_id))

    @patch("/{device_id:str}", guards=[requires("devices:write")], refuses=[refusals.NotFound])
    async def change(
        self,
        request: ApiRequest,
        device_id: FromPath[str],
        data: JSONBody[bodies.ChangeDevice],
        manage_devices: NamedDependency[ManageDevices],
    ) -> views.DeviceView:
        """Change what the body names; null clears it, an object replaces the one that was there."""
        return views.device_view(await manage_devices.change(request.caller, device_id, data))

    @get("/{device_id:str}/state", guards=[requires("devices:read")], refuses=[refusals.NotFound])
    async def state(
        self, request: ApiRequest, device_id: FromPath[str], report_devices: NamedDependency[ReportDevices]
    ) -> views.DeviceStateView:
        """Say whether a device is online and recording."""
        return views.device_state_view(await report_devices.state(request.caller, device_id))

    @post(
        "/{device_id:str}/bind",
        status_code=200,
        guards=[requires("devices:write")],
        refuses=[refusals.NotFound, refusals.DeviceAlreadyBound],
    )
    async def bind(
        self,
        request: ApiRequest,
        device_id: FromPath[str],
        data: JSONBody[bodies.BindDevice],
        bind_devices: NamedDependency[BindDevices],
    ) -> views.BoundDeviceView:
        """Bind a device to an end user and give it a token, which is in this answer only."""
        return views.bound_device_view(await bind_devices.bind(request.caller, device_id, data))

    @post("/{device_id:str}/unbind", status_code=200, guards=[requires("devices:write")], refuses=[refusals.NotFound])
    async def unbind(
        self, request: ApiRequest, device_id: FromPath[str], bind_devices: NamedDependency[BindDevices]
    ) -> views.DeviceView:
        """Free a device and revoke its token; one that is free stays as it is."""
        return views.device_view(await bind_devices.unbind(request.caller, device_id, request.context.claim))

    @post(
        "/{device_id:str}/token/refresh",
        status_code=200,
        guards=[requires_device()],
        refuses=[refusals.NotFound],
    )
    async def refresh_token(
        self, request: ApiRequest, device_id: FromPath[str], bind_devices: NamedDependency[BindDevices]
    ) -> views.DeviceTokenView:
        """Replace the calling device's token by a new one, which is in this answer only. No key may do this."""
        token = bearer(request.authorization)
        return views.DeviceTokenView(device_token=await bind_devices.refresh(request.caller, device_id, token))

    @post(
        "/{device_id:str}/heartbeat",
        status_code=200,
        guards=[requires("devices:write", device=True)],
        refuses=[refusals.NotFound],
    )
    async def heartbeat(
        self,
        request: ApiRequest,
        device_id: FromPath[str],
        data: JSONBody[bodies.Heartbeat],
        take_heartbeat: NamedDependency[TakeHeartbeat],
        device_grants: NamedDependency[DeviceGrants],
    ) -> views.HeartbeatView:
        """Take what a device tells of itself and of its commands, and answer with the commands that wait for it."""
        heard = await take_heartbeat(request.caller, device_id, data)
        request.context.note(commands=len(heard.commands), rejected_results=len(heard.rejected))
        return views.heartbeat_view(heard, device_grants)

    @post(
        "/{device_id:str}/grant",
        status_code=200,
        guards=[requires("devices:write")],
        refuses=[refusals.NotFound, refusals.DeviceNotBound],
    )
    async def grant(
        self,
        request: ApiRequest,
        device_id: FromPath[str],
        data: JSONBody[bodies.RequestGrant],
        grant_access: NamedDependency[GrantAccess],
    ) -> views.DeviceGrantView:
        """Give a phone the right to speak to a device for five minutes, which the device checks by itself."""
        return views.device_grant_view(await grant_access(request.caller, device_id, data.nonce_d))
