"""Configuration of organizations, projects, end users and devices (contract section 16)."""

from typing import Any

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires, requires_operator
from services.ingest.configuration.configure import Configure
from services.ingest.configuration.targets import Asker, FindTarget, Target
from services.ingest.configuration.validity import section_of
from services.ingest.paging import DEFAULT_LIMIT, PageRequest
from services.ingest.views.config import (
    ConfigChangeView,
    ConfigsView,
    ConfigView,
    SectionsView,
    SectionView,
    config_change_view,
    config_view,
    configs_view,
    section_view,
)
from services.ingest.views.pages import PageView, page_view
from shared.domain.config.sections import SECTIONS

SECTION = "/{section:str}"
_REFUSES = (refusals.ProviderNotConfigured, refusals.UnsupportedLanguage)


async def _organization(request: ApiRequest, organization_id: FromPath[str], find_target: NamedDependency[FindTarget]) -> Target:
    return await find_target.organization(_asker(request), organization_id)


async def _project(request: ApiRequest, project_id: FromPath[str], find_target: NamedDependency[FindTarget]) -> Target:
    return await find_target.project(_asker(request), project_id)


async def _own_project(request: ApiRequest, find_target: NamedDependency[FindTarget]) -> Target:
    return await find_target.project(_asker(request))


async def _end_user(request: ApiRequest, end_user_id: FromPath[str], find_target: NamedDependency[FindTarget]) -> Target:
    return await find_target.end_user(_asker(request), end_user_id)


async def _device(request: ApiRequest, device_id: FromPath[str], find_target: NamedDependency[FindTarget]) -> Target:
    return await find_target.device(_asker(request), device_id)


def _asker(request: ApiRequest) -> Asker:
    return Asker(caller=request.context.caller, request_id=request.context.request_id)


class EffectiveConfigController(Controller):
    """What counts for a subject; here for the key's own project."""

    path = "/v1/config"
    tags = ("Configuration",)
    dependencies = {"target": Provide(_own_project)}  # noqa: RUF012 - the framework's own form

    @get("/", guards=[requires("config:read")], refuses=[refusals.NotFound])
    async def read_all(self, target: NamedDependency[Target], configure: NamedDependency[Configure]) -> ConfigsView:
        """Read every section as it counts."""
        return configs_view(await configure.read_all(target))

    @get(SECTION, guards=[requires("config:read")])
    async def read(
        self, target: NamedDependency[Target], section: FromPath[str], configure: NamedDependency[Configure]
    ) -> ConfigView:
        """Read a section as it counts."""
        return config_view(await configure.read(target, section))


class ProjectConfigController(EffectiveConfigController):
    """A project: what counts for it, and what it says itself."""

    path = "/v1/projects/{project_id:str}/config"
    dependencies = {"target": Provide(_project)}  # noqa: RUF012 - as above
    opt = {"resource": "project_config"}  # noqa: RUF012 - as above

    @put(SECTION, guards=[requires("config:write")], refuses=_REFUSES)
    async def change(
        self,
        target: NamedDependency[Target],
        section: FromPath[str],
        data: JSONBody[dict[str, Any]],
        configure: NamedDependency[Configure],
    ) -> ConfigView:
        """Change what the body names and leave the rest as it is."""
        return config_view(await configure.change(target, section, data))

    @delete(SECTION, guards=[requires("config:write")])
    async def reset(self, target: NamedDependency[Target], section: FromPath[str], configure: NamedDependency[Configure]) -> None:
        """Forget what is said here about the section."""
        await configure.reset(target, section)

    @get(f"{SECTION}/history", guards=[requires("config:read")])
    async def history(  # noqa: PLR0913 - what a page is asked for by
        self,
        target: NamedDependency[Target],
        section: FromPath[str],
        configure: NamedDependency[Configure],
        *,
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
    ) -> PageView[ConfigChangeView]:
        """List the changes of what is said here about the section, newest first."""
        page = await configure.history(target, section, PageRequest(limit, offset, cursor))
        return page_view(page, [config_change_view(change) for change in page.items])


class OrganizationConfigController(ProjectConfigController):
    """An organization, as the first override of its projects: the operator changes it, their keys read it."""

    path = "/v1/organizations/{organization_id:str}/config"
    dependencies = {"target": Provide(_organization)}  # noqa: RUF012 - as above
    opt = {"resource": "organization_config", "operator": True}  # noqa: RUF012 - as above

    @put(SECTION, guards=[requires_operator()], refuses=_REFUSES)
    async def change(
        self,
        target: NamedDependency[Target],
        section: FromPath[str],
        data: JSONBody[dict[str, Any]],
        configure: NamedDependency[Configure],
    ) -> ConfigView:
        """Change what the body names and leave the rest as it is. No key may do this."""
        return config_view(await configure.change(target, section, data))

    @delete(SECTION, guards=[requires_operator()])
    async def reset(self, target: NamedDependency[Target], section: FromPath[str], configure: NamedDependency[Configure]) -> None:
        """Forget what is said here about the section. No key may do this."""
        await configure.reset(target, section)


class EndUserConfigController(ProjectConfigController):
    """An end user."""

    path = "/v1/end-users/{end_user_id:str}/config"
    dependencies = {"target": Provide(_end_user)}  # noqa: RUF012 - as above
    opt = {"resource": "end_user_config"}  # noqa: RUF012 - as above


class DeviceConfigController(ProjectConfigController):
    """A device."""

    path = "/v1/devices/{device_id:str}/config"
    dependencies = {"target": Provide(_device)}  # noqa: RUF012 - as above
    opt = {"resource": "device_config"}  # noqa: RUF012 - as above


class ConfigSchemaController(Controller):
    """How sections are built."""

    path = "/v1/config/schema"
    tags = ("Configuration",)

    @get("/", guards=[requires("config:read")])
    async def read_all(self) -> SectionsView:
        """Read how every section is built."""
        return SectionsView([section_view(section) for section in SECTIONS.values()])

    @get(SECTION, guards=[requires("config:read")])
    async def read(self, section: FromPath[str]) -> SectionView:
        """Read how a section is built."""
        return section_view(section_of(section))
