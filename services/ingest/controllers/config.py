"""`/v1/projects/{id}/config/{section}`: configuration of the caller's project."""

from typing import Any

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from services.ingest.api_request import ApiRequest, requires
from services.ingest.configure import Configure
from services.ingest.views.config import ConfigView, config_view


class ConfigController(Controller):
    """One section of one project."""

    path = "/v1/projects/{project_id:str}/config/{section:str}"
    tags = ("Configuration",)

    @get("/", guards=[requires("config:read")])
    async def read(
        self, request: ApiRequest, project_id: FromPath[str], section: FromPath[str], configure: NamedDependency[Configure]
    ) -> ConfigView:
        """Read the section as it counts for the project."""
        return config_view(await configure.get(request.caller, project_id, section))

    @put("/", guards=[requires("config:write")])
    async def change(
        self,
        request: ApiRequest,
        project_id: FromPath[str],
        section: FromPath[str],
        data: JSONBody[dict[str, Any]],
        configure: NamedDependency[Configure],
    ) -> ConfigView:
        """Change what the body names and leave the rest as it is."""
        return config_view(await configure.put(request.caller, project_id, section, data))

    @delete("/", guards=[requires("config:write")])
    async def reset(
        self, request: ApiRequest, project_id: FromPath[str], section: FromPath[str], configure: NamedDependency[Configure]
    ) -> None:
        """Forget what the project says about the section."""
        await configure.reset(request.caller, project_id, section)
