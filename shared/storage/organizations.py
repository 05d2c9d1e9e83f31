"""The `organizations` collection."""

from pymongo import DESCENDING

from shared.domain.project import Organization
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo

_NEWEST_FIRST = (("_id", DESCENDING),)


class Organizations:
    """Organizations, newest first by their ids."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["organizations"], Organization)

    async def add(self, organization: Organization) -> None:
        """Store a new organization."""
        await self._documents.insert(organization)

    async def get(self, organization_id: str) -> Organization | None:
        """Return the organization, if there is one."""
        return await self._documents.find_one({"_id": organization_id})

    async def page(self, limit: int, *, before: str | None = None, offset: int = 0) -> list[Organization]:
        """Return organizations newest first, those of ids below `before` if given."""
        where = {} if before is None else {"_id": {"$lt": before}}
        return await self._documents.find(where, _NEWEST_FIRST, limit, offset)
