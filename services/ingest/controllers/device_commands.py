"""`/v1/devices/{id}/commands`: what a device is asked to do."""

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.devices.bodies import CreateCommand
from services.ingest.devices.command import CommandDevices
from services.ingest.devices.grants import DeviceGrants
from services.ingest.paging import PageRequest
from services.ingest.views.devices import CommandView, command_view
from services.ingest.views.pages import PageView, page_view
from shared.domain.device_command import MAX_PENDING, CommandStatus
from shared.domain.transition import TransitionRefused

_DEFAULT_LIMIT = 20


class DeviceCommandController(Controller):
    """Commands to one device."""

    path = "/v1/devices/{device_id:str}/commands"
    tags = ("Devices",)

    @post(
        "/",
        guards=[requires("devices:write")],
        refuses=[refusals.NotFound, refusals.IdempotencyKeyReused, refusals.LimitReached],
    )
    async def create(
        self,
        request: ApiRequest,
        device_id: FromPath[str],
        data: JSONBody[CreateCommand],
        command_devices: NamedDependency[CommandDevices],
        device_grants: NamedDependency[DeviceGrants],
    ) -> CommandView:
        """Ask a device to do something; it hears of it with its next heartbeat."""
        command = await command_devices.create(request.caller, device_id, data, request.context.claim)
        request.context.note(command_id=command.id)
        return command_view(command, device_grants)

    @get("/", guards=[requires("devices:read")], refuses=[refusals.NotFound, refusals.InvalidRequest])
    async def list_page(  # noqa: PLR0913, PLR0917 - the query parameters of the contract
        self,
        request: ApiRequest,
        device_id: FromPath[str],
        command_devices: NamedDependency[CommandDevices],
        device_grants: NamedDependency[DeviceGrants],
        limit: FromQuery[int] = _DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
        status: FromQuery[CommandStatus | None] = None,
    ) -> PageView[CommandView]:
        """List a device's commands, newest first."""
        page = await command_devices.page(request.caller, device_id, PageRequest(limit, offset, cursor), status=status)
        return page_view(page, [command_view(item, device_grants) for item in page.items])

    @get("/pending", guards=[requires("devices:read")], refuses=[refusals.NotFound])
    async def pending(
        self,
        request: ApiRequest,
        device_id: FromPath[str],
        command_devices: NamedDependency[CommandDevices],
        device_grants: NamedDependency[DeviceGrants],
    ) -> PageView[CommandView]:
        """List every command that waits for the device, newest first; reading delivers none."""
        waiting = PageRequest(MAX_PENDING)
        page = await command_devices.page(request.caller, device_id, waiting, status=CommandStatus.PENDING)
        return page_view(page, [command_view(item, device_grants) for item in page.items])

    @get("/{command_id:str}", guards=[requires("devices:read")], refuses=[refusals.NotFound])
    async def read(
        self,
        request: ApiRequest,
        device_id: FromPath[str],
        command_id: FromPath[str],
        command_devices: NamedDependency[CommandDevices],
        device_grants: NamedDependency[DeviceGrants],
    ) -> CommandView:
        """Read one command."""
        return command_view(await command_devices.get(request.caller, device_id, command_id), device_grants)

    @delete("/{command_id:str}", guards=[requires("devices:write")], refuses=[refusals.NotFound, TransitionRefused])
    async def cancel(
        self,
        request: ApiRequest,
        device_id: FromPath[str],
        command_id: FromPath[str],
        command_devices: NamedDependency[CommandDevices],
    ) -> None:
        """Cancel a command that the device has not been given yet."""
        await command_devices.cancel(request.caller, device_id, command_id)
