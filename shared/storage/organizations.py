"""The `organizations` collection."""

from shared.domain.project import Organization
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo


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
        return await self._documents.page({}, limit, before=before, offset=offset)
