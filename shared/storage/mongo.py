"""The connection to MongoDB: what is acknowledged is on a majority's journal."""

from datetime import UTC
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import ReadPreference
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from shared.settings import MONGO_URL_FORM, MongoSettings, SettingsError
from shared.storage.mongo_errors import translated

_TIMEOUT_MS = 5_000


class Mongo:
    """One client with its database; nothing connects before the first call.

    A connection string that the driver does not take raises `SettingsError`.
    """

    def __init__(self, settings: MongoSettings) -> None:
        self._client = _client(settings.mongo_url)
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


def _client(url: str) -> AsyncIOMotorClient[dict[str, Any]]:
    try:
        return AsyncIOMotorClient(
            url,
            tz_aware=True,
            tzinfo=UTC,  # the driver's own has its offset asked in Python for every time
            retryWrites=True,
            retryReads=True,
            serverSelectionTimeoutMS=_TIMEOUT_MS,
            connectTimeoutMS=_TIMEOUT_MS,
            socketTimeoutMS=4 * _TIMEOUT_MS,
            appname="earwitness",
        )
    except (PyMongoError, ValueError, KeyError, OSError) as error:  # OSError: of a named file; what any says may repeat a secret
        problem = f"EARWITNESS_MONGO_URL is not taken by the driver ({type(error).__name__}): expected {MONGO_URL_FORM}"
        raise SettingsError([problem]) from None
