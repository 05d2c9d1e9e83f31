"""What the operator does: organizations, projects and API keys. HTTP and the command line both come here."""

import contextlib
from collections.abc import Callable

import msgspec

from services.ingest.bodies import CreateKey
from services.ingest.limits import checked_time
from services.ingest.paging import OPERATOR, Page, Pager, PageRequest
from services.ingest.ports import KeyStore, OrganizationStore, ProjectStore
from services.ingest.refusals import InvalidRequest, not_found
from shared.domain.caller import SCOPES, ApiKey, KeyKind, new_secret
from shared.domain.clock import now, wire_time
from shared.domain.errors import AlreadyExists
from shared.domain.kept_answer import Claim, identified
from shared.domain.project import Organization, Project
from shared.domain.secret import secret_hint, secret_sha256


class NewKey(msgspec.Struct, frozen=True):
    """A key with its secret, which is known at this moment and never again."""

    key: ApiKey
    secret: str


class AdminStores(msgspec.Struct, frozen=True):
    """What the operator's objects are kept in."""

    organizations: OrganizationStore
    projects: ProjectStore
    keys: KeyStore


class Administer:
    """Creates, lists and revokes; `forget_key` is told of a revoked key so that this process drops it at once."""

    def __init__(self, stores: AdminStores, pager: Pager, forget_key: Callable[[str], None]) -> None:
        self._organizations, self._projects, self._keys = stores.organizations, stores.projects, stores.keys
        self._pager, self._forget_key = pager, forget_key

    async def create_organization(self, name: str, claim: Claim | None = None) -> Organization:
        """Create an organization; what an earlier run of the same claim has created is returned, here and below."""
        organization = Organization(id=identified("org", claim), name=name, created_at=now())
        with contextlib.suppress(AlreadyExists):
            await self._organizations.add(organization)
            return organization
        return await self.organization(organization.id)

    async def organization(self, organization_id: str) -> Organization:
        """Return an organization; raises `NotFound`."""
        organization = await self._organizations.get(organization_id)
        if organization is None:
            raise not_found("organization")
        return organization

    async def organizations(self, request: PageRequest) -> Page[Organization]:
        """Return a page of organizations."""

        async def read(limit: int, before: str | None, offset: int) -> list[Organization]:
            return await self._organizations.page(limit, before=before, offset=offset)

        return await self._pager.page(OPERATOR, "organizations", request, read)

    async def create_project(self, organization_id: str, name: str, claim: Claim | None = None) -> Project:
        """Create a project in an organization that exists."""
        organization = await self.organization(organization_id)
        project = Project(id=identified("proj", claim), organization_id=organization.id, name=name, created_at=now())
        with contextlib.suppress(AlreadyExists):
            await self._projects.add(project)
            return project
        return await self.project(project.id)

    async def project(self, project_id: str) -> Project:
        """Return a project; raises `NotFound`."""
        project = await self._projects.get(project_id)
        if project is None:
            raise not_found("project")
        return project

    async def projects(self, request: PageRequest, *, organization_id: str | None) -> Page[Project]:
        """Return a page of projects, of one organization if given."""

        async def read(limit: int, before: str | None, offset: int) -> list[Project]:
            return await self._projects.page(organization_id, limit, before=before, offset=offset)

        return await self._pager.page(OPERATOR, "projects", request, read)

    async def create_key(self, project_id: str, body: CreateKey, claim: Claim | None = None) -> NewKey:
        """Create a key of a project that exists; restricted to `scopes` when they are given.

        One that an earlier run of the same claim has created is given another secret: nobody was told the one it had.
        """
        project = await self.project(project_id)
        unknown = [scope for scope in body.scopes or () if scope not in SCOPES]
        if unknown:
            raise InvalidRequest(f"there is no scope {unknown[0][:80]}", param="scopes", details={"scopes": list(SCOPES)})
        at, expires_at = now(), checked_time(body.expires_at, "expires_at")
        if expires_at is not None and expires_at <= at:
            raise InvalidRequest(f"expires_at is over: it is {wire_time(at)}", param="expires_at")
        kind = KeyKind.SECRET if body.scopes is None else KeyKind.RESTRICTED
        secret = new_secret(kind, body.mode)
        key = ApiKey(
            id=identified("key", claim),
            project_id=project.id,
            mode=body.mode,
            kind=kind,
            name=body.name,
            scopes=SCOPES if body.scopes is None else tuple(dict.fromkeys(body.scopes)),
            secret_sha256=secret_sha256(secret),
            hint=secret_hint(secret),
            created_at=at,
            expires_at=expires_at,
        )
        with contextlib.suppress(AlreadyExists):
            await self._keys.add(key)
            return NewKey(key, secret)
        reissued = await self._keys.reissue(key)
        if reissued is None:  # revoked since
            raise not_found("API key")
        self._forget_key(key.id)
        return NewKey(reissued, secret)

    async def keys(self, project_id: str, request: PageRequest) -> Page[ApiKey]:
        """Return a page of a project's keys, revoked ones too."""
        project = await self.project(project_id)

        async def read(limit: int, before: str | None, offset: int) -> list[ApiKey]:
            return await self._keys.page(project.id, limit, before=before, offset=offset)

        return await self._pager.page(OPERATOR, f"keys:{project.id}", request, read)

    async def revoke_key(self, project_id: str, key_id: str) -> ApiKey:
        """Make a key useless: here at once, on other replicas when they next ask; doing it again changes nothing."""
        key = await self._keys.revoke(project_id, key_id, now())
        if key is None:
            raise not_found("API key")
        self._forget_key(key.id)
        return key
