"""The `upload_tokens` collection: hashes of tokens, for as long as they are good."""

from datetime import datetime

from pymongo import ASCENDING, IndexModel

from shared.domain.upload_token import UploadToken
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo


class UploadTokens:
    """Tokens by the hash of their secret; they go away by themselves."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["upload_tokens"], UploadToken)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes((IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),))

    async def add(self, token: UploadToken) -> None:
        """Store a new token."""
        await self._documents.insert(token)

    async def by_secret(self, secret_sha256: str) -> UploadToken | None:
        """Return the token whose secret hashes to this."""
        return await self._documents.get(secret_sha256)

    async def touch(self, credential_id: str, at: datetime) -> None:
        """Do nothing: what a token was used for is seen by the recording."""
