"""The levels of configuration, and the subjects at each that may say something (contract 16.1)."""

from enum import StrEnum

import msgspec

from shared.domain.tenant import Tenant


class ConfigLevel(StrEnum):
    """Where a value may come from, from general to specific."""

    DEFAULT = "default"
    ORGANIZATION = "organization"
    PROJECT = "project"
    END_USER = "end_user"
    DEVICE = "device"


class ConfigSubject(msgspec.Struct, frozen=True):
    """Who says something: an organization (of no tenant), or a tenant's project, end user or device.

    What a project says in test mode counts for test data alone, as everything of a tenant does.
    """

    level: ConfigLevel
    id: str
    tenant: Tenant | None = None

    def key(self, section: str) -> str:
        """Return the id of what the subject says about `section`; no two subjects share one, of whatever tenants they are."""
        owner = "" if self.tenant is None else f"{self.tenant.project_id}:{self.tenant.mode}:"
        return f"{self.level}:{owner}{self.id}:{section}"


def organization_subject(organization_id: str) -> ConfigSubject:
    """Return the organization as a subject."""
    return ConfigSubject(ConfigLevel.ORGANIZATION, organization_id)


def lineage(
    organization_id: str | None, tenant: Tenant, *, end_user_id: str | None = None, device_id: str | None = None
) -> tuple[ConfigSubject, ...]:
    """Return everyone whose word counts, from general to specific; each but the project only where there is one."""
    subjects = [] if organization_id is None else [organization_subject(organization_id)]
    subjects.append(ConfigSubject(ConfigLevel.PROJECT, tenant.project_id, tenant))
    if end_user_id is not None:
        subjects.append(ConfigSubject(ConfigLevel.END_USER, end_user_id, tenant))
    if device_id is not None:
        subjects.append(ConfigSubject(ConfigLevel.DEVICE, device_id, tenant))
    return tuple(subjects)
