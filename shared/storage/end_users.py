"""The `end_users` collection."""

from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.end_user import EndUser
from shared.domain.tenant import Tenant
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo
from shared.storage.queue_state import queue_state
from shared.storage.tenancy import BY_TENANT, owned_by

INDEXES = (
    IndexModel([*BY_TENANT, ("deleted_at", ASCENDING), ("_id", DESCENDING)], name="list"),
    IndexModel(
        [*BY_TENANT, ("external_id", ASCENDING)],
        name="by_external_id",
        unique=True,
        partialFilterExpression={"external_id": {"$type": "string"}},
    ),
    IndexModel([("erasure_due_at", ASCENDING)], name="erasure", partialFilterExpression={"erasure_due_at": {"$type": "date"}}),
)
"""A partial index answers only queries that repeat its condition, `$type` included."""


class EndUsers:
    """End users by tenant; a deleted one stays as a row that nothing shows."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["end_users"], EndUser)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(INDEXES)

    async def add(self, end_user: EndUser) -> None:
        """Store a new end user; raise `AlreadyExists` when another of the tenant has its `external_id`."""
        await self._documents.insert(end_user)

    async def get(self, tenant: Tenant, end_user_id: str) -> EndUser | None:
        """Return the end user unless it is another tenant's, deleted or not there."""
        found = await self._documents.get(end_user_id)
        return found if found is not None and found.tenant == tenant and found.deleted_at is None else None

    async def by_external_id(self, tenant: Tenant, external_id: str) -> EndUser | None:
        """Return the tenant's end user of this `external_id`, if there is one."""
        return await self._documents.find_one(_of(tenant) | {"external_id": {"$eq": external_id, "$type": "string"}})

    async def page(self, tenant: Tenant, limit: int, *, before: str | None = None, offset: int = 0) -> list[EndUser]:
        """Return the tenant's end users newest first, those of ids below `before` if given."""
        return await self._documents.page(_of(tenant), limit, before=before, offset=offset)

    async def remove(self, tenant: Tenant, end_user_id: str, at: datetime) -> bool:
        """Delete the end user and all that was known of the person; return whether there was one.

        From the same write on, what it leaves behind is due to be erased.
        """
        known = dict.fromkeys(("external_id", "email", "name", "metadata"))
        change = {"$set": {**known, "deleted_at": at, "updated_at": at, "erasure_due_at": at}}
        return await self._documents.update(_of(tenant) | {"_id": end_user_id}, change)

    async def claim_erasure(self, at: datetime, until: datetime) -> EndUser | None:
        """Return the end user whose erasure has been due for longest at `at`; nobody else is given it before `until`, after `at`.

        One that cannot be read is left alone as long.
        """
        due = {"erasure_due_at": {"$lte": at, "$type": "date"}}
        return await self._documents.claim(due, {"$set": {"erasure_due_at": until}}, (("erasure_due_at", ASCENDING),))

    async def extend_erasure(self, claimed: EndUser, until: datetime | None) -> EndUser | None:
        """Move the end of a claim, None: nothing is left to erase; None is returned when the claim is another's by now."""
        where = {"_id": claimed.id, "erasure_due_at": claimed.erasure_due_at}
        return await self._documents.change(where, {"$set": {"erasure_due_at": until}})

    async def erasures_due(self) -> tuple[int, float]:
        """Return how many end users are due to be erased, and for how long the oldest has been, in seconds."""
        return await queue_state(self._documents, "erasure_due_at")


def _of(tenant: Tenant) -> dict[str, Any]:
    return owned_by(tenant) | {"deleted_at": None}
