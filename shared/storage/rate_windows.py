"""The `rate_windows` collection: what all replicas together have taken from each limit in each window of time."""

from datetime import datetime

import msgspec
from pymongo import ASCENDING, IndexModel
from pymongo.write_concern import WriteConcern

from shared.domain.errors import AlreadyExists
from shared.storage.documents import Documents
from shared.storage.mongo import Mongo


class RateWindow(msgspec.Struct, frozen=True, rename={"id": "_id"}):
    """How much was taken in one window."""

    id: str
    taken: int


class RateWindows:
    """Shared counters that expire by themselves. A count lost in a failover costs nothing worth a journalled write."""

    def __init__(self, mongo: Mongo) -> None:
        collection = mongo.database.get_collection("rate_windows", write_concern=WriteConcern(w=1))
        self._documents = Documents(collection, RateWindow)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes((IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),))

    async def take(self, window_id: str, count: int, expires_at: datetime) -> int:
        """Add `count` to what was taken in the window and return the sum."""
        change = {"$inc": {"taken": count}, "$setOnInsert": {"expires_at": expires_at}}
        try:
            window = await self._documents.change({"_id": window_id}, change, upsert=True)
        except AlreadyExists:  # another replica made it at this very moment
            window = await self._documents.change({"_id": window_id}, change, upsert=True)
        return count if window is None else window.taken
