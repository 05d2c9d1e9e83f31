"""The `api_keys` collection: hashes of secrets, never the secrets."""

from datetime import datetime

from pymongo import ASCENDING, DESCENDING, IndexModel

from shared.domain.caller import ApiKey
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo


class ApiKeys:
    """Keys by the hash of their secret, and by project."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["api_keys"], ApiKey)
        self._secrets = self._documents.seen_as(ApiKey, key="secret_sha256")

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(
            (
                IndexModel([("secret_sha256", ASCENDING)], name="by_secret", unique=True),
                IndexModel([("project_id", ASCENDING), ("_id", DESCENDING)], name="list_of_project"),
            )
        )

    async def add(self, key: ApiKey) -> None:
        """Store a new key."""
        await self._documents.insert(key)

    async def reissue(self, key: ApiKey) -> ApiKey | None:
        """Give the key that is there under this id the secret of `key`, and return it; None when it is revoked."""
        where = {"_id": key.id, "project_id": key.project_id, "revoked_at": None}
        return await self._documents.change(where, {"$set": {"secret_sha256": key.secret_sha256, "hint": key.hint}})

    async def by_secret(self, secret_sha256: str) -> ApiKey | None:
        """Return the key whose secret hashes to this, unless it is revoked."""
        found = await self._secrets.get(secret_sha256)
        return found if found is not None and found.revoked_at is None else None

    async def page(self, project_id: str, limit: int, *, before: str | None = None, offset: int = 0) -> list[ApiKey]:
        """Return the project's keys of both modes, revoked ones too, newest first."""
        return await self._documents.page({"project_id": project_id}, limit, before=before, offset=offset)

    async def revoke(self, project_id: str, key_id: str, at: datetime) -> ApiKey | None:
        """Make the key useless from now on and return it, None when the project has none such; the first time stands."""
        where = {"_id": key_id, "project_id": project_id}
        await self._documents.update({**where, "revoked_at": None}, {"$set": {"revoked_at": at}})
        return await self._documents.find_one(where)

    async def touch(self, key_id: str, at: datetime) -> None:
        """Note when the key was last used; an earlier time never replaces a later one."""
        await self._documents.update({"_id": key_id}, {"$max": {"last_used_at": at}})
