"""The `projects` collection."""

from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.project import Project
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo

_MOST_REMEMBERED = 10_000


class Projects:
    """Projects, newest first by their ids."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["projects"], Project)
        self._organizations: dict[str, str] = {}

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(
            (IndexModel([("organization_id", ASCENDING), ("_id", DESCENDING)], name="list_of_organization"),)
        )

    async def add(self, project: Project) -> None:
        """Store a new project."""
        await self._documents.insert(project)

    async def get(self, project_id: str) -> Project | None:
        """Return the project, if there is one."""
        return await self._documents.find_one({"_id": project_id})

    async def organization_of(self, project_id: str) -> str | None:
        """Return the organization that owns the project, None when there is no such project; remembered, for it never changes."""
        if project_id not in self._organizations:
            project = await self.get(project_id)
            if project is None:
                return None
            if len(self._organizations) >= _MOST_REMEMBERED:
                self._organizations.clear()
            self._organizations[project_id] = project.organization_id
        return self._organizations[project_id]

    async def page(self, organization_id: str | None, limit: int, *, before: str | None = None, offset: int = 0) -> list[Project]:
        """Return projects newest first, those of one organization and of ids below `before` if given."""
        where: dict[str, Any] = {}
        if organization_id is not None:
            where["organization_id"] = organization_id
        return await self._documents.page(where, limit, before=before, offset=offset)
