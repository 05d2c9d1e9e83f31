"""What the operator sees."""

from typing import Annotated, Any

import msgspec

from services.ingest.administer import NewKey
from shared.domain.caller import ApiKey, KeyKind
from shared.domain.clock import wire_time, wire_time_or_none
from shared.domain.project import Organization, Project
from shared.domain.tenant import Mode
from shared.domain.wire import an_id, one_of


class OrganizationView(msgspec.Struct, kw_only=True):
    """An organization."""

    id: Annotated[str, an_id("org")]
    name: str
    created_at: str


class ProjectView(msgspec.Struct, kw_only=True):
    """A project."""

    id: Annotated[str, an_id("proj")]
    organization_id: str
    name: str
    created_at: str


class KeyView(msgspec.Struct, kw_only=True):
    """An API key, without its secret."""

    id: Annotated[str, an_id("key")]
    project_id: str
    mode: Annotated[str, one_of(Mode)]
    kind: Annotated[str, one_of(KeyKind)]
    name: str | None
    scopes: tuple[str, ...]
    hint: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class NewKeyView(KeyView, kw_only=True):
    """A new API key: the only time its secret is shown."""

    secret: str


def organization_view(organization: Organization) -> OrganizationView:
    """Show an organization."""
    return OrganizationView(id=organization.id, name=organization.name, created_at=wire_time(organization.created_at))


def project_view(project: Project) -> ProjectView:
    """Show a project."""
    return ProjectView(
        id=project.id, organization_id=project.organization_id, name=project.name, created_at=wire_time(project.created_at)
    )


def key_view(key: ApiKey) -> KeyView:
    """Show a key."""
    return KeyView(**_key_fields(key))


def new_key_view(new: NewKey) -> NewKeyView:
    """Show a key with its secret."""
    return NewKeyView(**_key_fields(new.key), secret=new.secret)


def _key_fields(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "project_id": key.project_id,
        "mode": key.mode,
        "kind": key.kind,
        "name": key.name,
        "scopes": key.scopes,
        "hint": key.hint,
        "created_at": wire_time(key.created_at),
        "expires_at": wire_time_or_none(key.expires_at),
        "last_used_at": wire_time_or_none(key.last_used_at),
        "revoked_at": wire_time_or_none(key.revoked_at),
    }
