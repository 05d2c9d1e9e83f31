"""`/v1/admin`: what the operator does, with the admin token."""

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from services.ingest.administer import Administer
from services.ingest.api_request import ApiRequest, admin_only
from services.ingest.bodies import CreateKey, CreateOrganization, CreateProject
from services.ingest.paging import DEFAULT_LIMIT, PageRequest
from services.ingest.refusals import NotFound
from services.ingest.views.admin import (
    KeyView,
    NewKeyView,
    OrganizationView,
    ProjectView,
    key_view,
    new_key_view,
    organization_view,
    project_view,
)
from services.ingest.views.pages import PageView, page_view


class OrganizationController(Controller):
    """Organizations."""

    path = "/v1/admin/organizations"
    tags = ("Admin",)
    guards = (admin_only,)

    @post("/")
    async def create(
        self, request: ApiRequest, data: JSONBody[CreateOrganization], administer: NamedDependency[Administer]
    ) -> OrganizationView:
        """Create an organization."""
        organization = await administer.create_organization(data.name, request.context.claim)
        request.context.note(organization_id=organization.id)
        return organization_view(organization)

    @get("/")
    async def list_page(
        self,
        administer: NamedDependency[Administer],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
    ) -> PageView[OrganizationView]:
        """List organizations, newest first."""
        page = await administer.organizations(PageRequest(limit, offset, cursor))
        return page_view(page, [organization_view(item) for item in page.items])

    @get("/{organization_id:str}")
    async def read(self, organization_id: FromPath[str], administer: NamedDependency[Administer]) -> OrganizationView:
        """Read one organization."""
        return organization_view(await administer.organization(organization_id))


class ProjectController(Controller):
    """Projects."""

    path = "/v1/admin/projects"
    tags = ("Admin",)
    guards = (admin_only,)

    @post("/", refuses=[NotFound])
    async def create(
        self, request: ApiRequest, data: JSONBody[CreateProject], administer: NamedDependency[Administer]
    ) -> ProjectView:
        """Create a project."""
        project = await administer.create_project(data.organization_id, data.name, request.context.claim)
        request.context.note(project_id=project.id)
        return project_view(project)

    @get("/")
    async def list_page(
        self,
        administer: NamedDependency[Administer],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
        organization_id: FromQuery[str | None] = None,
    ) -> PageView[ProjectView]:
        """List projects, newest first."""
        page = await administer.projects(PageRequest(limit, offset, cursor), organization_id=organization_id)
        return page_view(page, [project_view(item) for item in page.items])

    @get("/{project_id:str}")
    async def read(self, project_id: FromPath[str], administer: NamedDependency[Administer]) -> ProjectView:
        """Read one project."""
        return project_view(await administer.project(project_id))


class KeyController(Controller):
    """A project's API keys."""

    path = "/v1/admin/projects/{project_id:str}/api-keys"
    tags = ("Admin",)
    guards = (admin_only,)

    @post("/")
    async def create(
        self,
        request: ApiRequest,
        project_id: FromPath[str],
        data: JSONBody[CreateKey],
        administer: NamedDependency[Administer],
    ) -> NewKeyView:
        """Create a key; its secret is in this answer and nowhere else."""
        new = await administer.create_key(project_id, data, request.context.claim)
        request.context.note(api_key_id=new.key.id)
        return new_key_view(new)

    @get("/")
    async def list_page(
        self,
        project_id: FromPath[str],
        administer: NamedDependency[Administer],
        limit: FromQuery[int] = DEFAULT_LIMIT,
        offset: FromQuery[int | None] = None,
        cursor: FromQuery[str | None] = None,
    ) -> PageView[KeyView]:
        """List keys, newest first, without their secrets."""
        page = await administer.keys(project_id, PageRequest(limit, offset, cursor))
        return page_view(page, [key_view(item) for item in page.items])

    @delete("/{key_id:str}")
    async def revoke(self, project_id: FromPath[str], key_id: FromPath[str], administer: NamedDependency[Administer]) -> None:
        """Make a key useless, everywhere within a minute."""
        await administer.revoke_key(project_id, key_id)
