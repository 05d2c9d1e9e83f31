"""What the use cases of end users need from the outside."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from services.ingest.ports import EndUserLookup
from shared.domain.end_user import EndUser
from shared.domain.tenant import Tenant

OfEndUser = Callable[[Tenant, str], Awaitable[object]]
"""Does something for the end user of this tenant and id; doing it again changes nothing more."""


class EndUserStore(EndUserLookup, Protocol):
    """End users."""

    async def add(self, end_user: EndUser) -> None:
        """Store a new one; raises `AlreadyExists`."""

    async def by_external_id(self, tenant: Tenant, external_id: str) -> EndUser | None:
        """Return the one of this `external_id`."""

    async def page(self, tenant: Tenant, limit: int, *, before: str | None = None, offset: int = 0) -> list[EndUser]:
        """Return the tenant's, newest first."""

    async def remove(self, tenant: Tenant, end_user_id: str, at: datetime) -> bool:
        """Delete one, which is due to be erased from then on; return whether there was one."""


class ErasureQueue(Protocol):
    """Deleted end users of whom something is left."""

    async def claim_erasure(self, at: datetime, until: datetime) -> EndUser | None:
        """Return the one that has been due for longest at `at`, for nobody else before `until`."""

    async def extend_erasure(self, claimed: EndUser, until: datetime | None) -> EndUser | None:
        """Move the end of a claim, None: nothing is left; returns None when the claim is another's by now."""
