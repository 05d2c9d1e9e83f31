"""Whose configuration a request means; what the caller may not see looks as if it did not exist (contract A4, A23)."""

import msgspec

from services.ingest.ports import DeviceLookup, EndUserLookup, OrganizationLookup, OwnerLookup
from services.ingest.refusals import no_credential, not_found
from shared.domain.caller import Caller
from shared.domain.config.levels import ConfigSubject, lineage, organization_subject
from shared.domain.tenant import Tenant

_OPERATOR = "operator"


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks: a key's bearer, or the operator, who has no tenant (`caller` is None)."""

    caller: Caller | None
    request_id: str

    @property
    def tenant(self) -> Tenant:
        """Whose data the asker sees."""
        if self.caller is None:
            raise no_credential()
        return self.caller.tenant

    @property
    def kind(self) -> str:
        """The kind of credential."""
        return _OPERATOR if self.caller is None else self.caller.kind


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whose configuration is meant: the last of `subjects`, who are all whose word counts for it, from general to specific."""

    asker: Asker
    subjects: tuple[ConfigSubject, ...]

    @property
    def subject(self) -> ConfigSubject:
        """Who is meant."""
        return self.subjects[-1]


class TargetStores(msgspec.Struct, frozen=True):
    """Where subjects are looked up."""

    organizations: OrganizationLookup
    projects: OwnerLookup
    end_users: EndUserLookup
    devices: DeviceLookup


class FindTarget:
    """Finds what a path names; every method raises `NotFound`, with the same words whether it is missing or another's."""

    def __init__(self, stores: TargetStores) -> None:
        self._stores = stores

    async def organization(self, asker: Asker, organization_id: str) -> Target:
        """Return any organization to the operator; to a key only the one that owns its project."""
        if asker.caller is None:
            known = await self._stores.organizations.get(organization_id) is not None
        else:
            known = organization_id == await self._owner(asker.tenant)
        if not known:
            raise not_found("organization")
        return Target(asker=asker, subjects=(organization_subject(organization_id),))

    async def project(self, asker: Asker, project_id: str | None = None) -> Target:
        """Return the caller's own project, in the mode of its key."""
        tenant = asker.tenant
        if project_id not in {None, tenant.project_id}:
            raise not_found("project")
        return Target(asker=asker, subjects=lineage(await self._owner(tenant), tenant))

    async def end_user(self, asker: Asker, end_user_id: str) -> Target:
        """Return an end user of the caller's."""
        tenant = asker.tenant
        if await self._stores.end_users.get(tenant, end_user_id) is None:
            raise not_found("end user")
        return Target(asker=asker, subjects=lineage(await self._owner(tenant), tenant, end_user_id=end_user_id))

    async def device(self, asker: Asker, device_id: str) -> Target:
        """Return a device of the caller's; while it is bound, its end user has a word, too."""
        tenant = asker.tenant
        device = await self._stores.devices.get(tenant, device_id)
        if device is None:
            raise not_found("device")
        subjects = lineage(await self._owner(tenant), tenant, end_user_id=device.end_user_id, device_id=device_id)
        return Target(asker=asker, subjects=subjects)

    async def _owner(self, tenant: Tenant) -> str | None:
        return await self._stores.projects.organization_of(tenant.project_id)
