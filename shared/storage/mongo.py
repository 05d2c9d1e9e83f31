"""The connection to MongoDB: what is acknowledged is on a majority's journal."""

from datetime import UTC
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import ReadPreference
from pymongo.write_concern import WriteConcern

from shared.settings import MongoSettings
from shared.storage.mongo_errors import translated

_TIMEOUT_MS = 5_000


class Mongo:
    """One client with its database; nothing connects before the first call."""

    def __init__(self, settings: MongoSettings) -> None:
        self._client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
            settings.mongo_url,
            tz_aware=True,
            tzinfo=UTC,  # the driver's own has its offset asked in Python for every time
            retryWrites=True,
            retryReads=True,
            serverSelectionTimeoutMS=_TIMEOUT_MS,
            connectTimeoutMS=_TIMEOUT_MS,
            socketTimeoutMS=4 * _TIMEOUT_MS,
            appname="earwitness",
        )
        self.database: AsyncIOMotorDatabase[dict[str, Any]] = self._client.get_database(
            settings.mongo_database,
            write_concern=WriteConcern(w="majority", j=True, wtimeout=4 * _TIMEOUT_MS),
            read_preference=ReadPreference.PRIMARY,
        )

    async def check(self) -> None:
        """Raise `StoreUnavailable` unless the primary answers."""
        async with translated():
            await self.database.command("ping")

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
