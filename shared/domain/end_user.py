"""End users: the people whose speech is recorded (contract section 14)."""

from datetime import datetime
from typing import Any

import msgspec

from shared.domain.tenant import Mode, Tenant


class EndUser(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """An end user as it is kept; `external_id` is unique among those of the tenant that are not deleted.

    A deleted one keeps its id and nothing else of the person. `erasure_due_at` is when what it leaves behind may next be
    worked off: while somebody does, the end of that lease; None once nothing is left.
    """

    id: str
    project_id: str
    mode: Mode
    external_id: str | None = None
    email: str | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    erasure_due_at: datetime | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose end user it is."""
        return Tenant(self.project_id, self.mode)
