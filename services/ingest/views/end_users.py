"""End users."""

from typing import Annotated, Any

import msgspec

from shared.domain.clock import wire_time
from shared.domain.end_user import EndUser
from shared.domain.wire import an_id


class EndUserView(msgspec.Struct, kw_only=True):
    """An end user (contract section 14)."""

    id: Annotated[str, an_id("eu")]
    project_id: Annotated[str, an_id("proj")]
    external_id: str | None
    email: str | None
    name: str | None
    metadata: dict[str, Any] | None
    created_at: str
    updated_at: str
    deleted_at: None = None


def end_user_view(end_user: EndUser) -> EndUserView:
    """Show an end user."""
    return EndUserView(
        id=end_user.id,
        project_id=end_user.project_id,
        external_id=end_user.external_id,
        email=end_user.email,
        name=end_user.name,
        metadata=end_user.metadata,
        created_at=wire_time(end_user.created_at),
        updated_at=wire_time(end_user.updated_at),
    )
