"""The `provider_orders` collection: who may answer an order at a provider, and what is still to be deleted there."""

from datetime import datetime
from typing import Any

from pymongo import ASCENDING, IndexModel

from shared.domain.clock import now
from shared.domain.provider_order import ProviderOrder, provider_order_id
from shared.domain.transcription import Transcription
from shared.storage.documents import Documents, to_builtins
from shared.storage.mongo import Mongo

_OLDEST_FIRST = (("due_at", ASCENDING),)
_IS_DATE = {"$type": "date"}

INDEXES = (
    IndexModel([("tokens", ASCENDING)], name="by_token", unique=True, partialFilterExpression={"tokens": {"$type": "string"}}),
    IndexModel([("due_at", ASCENDING)], name="due", partialFilterExpression={"due_at": _IS_DATE}),
    IndexModel([("expires_at", ASCENDING)], name="expiry", expireAfterSeconds=0),
)


class ProviderOrders:
    """One row a transcription and provider. It is not read by tenant: a provider knows only its token, a worker what is due."""

    def __init__(self, mongo: Mongo) -> None:
        self._documents = Documents(mongo.database["provider_orders"], ProviderOrder)

    async def ensure_indexes(self) -> None:
        """Create what is missing."""
        await self._documents.ensure_indexes(INDEXES)

    async def keep(self, order: ProviderOrder) -> None:
        """Store the order, or add its tokens and copies to those of the one that is there; it is due when the newest says."""
        lists: dict[str, Any] = {name: {"$each": list(getattr(order, name))} for name in ("tokens", "copies")}
        fixed = to_builtins(order)
        for name in ("_id", "due_at", "expires_at", "mark", *lists):
            del fixed[name]
        mark = {} if order.mark is None else {"mark": order.mark}
        change = {
            "$setOnInsert": fixed,
            "$addToSet": lists,
            "$set": {"due_at": order.due_at, "expires_at": None, **mark},
        }
        await self._documents.update({"_id": order.id}, change, upsert=True)

    async def unmark(self, transcription: Transcription) -> None:
        """Forget by what the transcription's order could be found: nothing was taken."""
        await self._documents.update({"_id": provider_order_id(transcription)}, {"$set": {"mark": None}})

    async def by_token(self, token_sha256: str) -> ProviderOrder | None:
        """Return the order that the bearer of the token may answer."""
        return await self._documents.find_one({"tokens": {"$eq": token_sha256, "$type": "string"}})

    async def end(self, transcription: Transcription) -> None:
        """Have what is left of the transcription's order looked at now."""
        where = {"_id": provider_order_id(transcription), "due_at": _IS_DATE}
        await self._documents.update(where, {"$set": {"due_at": now()}})

    async def claim_due(self, until: datetime) -> ProviderOrder | None:
        """Return the order that has been due for longest, which nobody else gets before `until`; None when there is none.

        It has to lie in the future: so long one that cannot be read is left alone, too.
        """
        due = {"due_at": _IS_DATE | {"$lte": now()}}
        return await self._documents.claim(due, {"$set": {"due_at": until}}, _OLDEST_FIRST)

    async def look_again(self, order: ProviderOrder, at: datetime) -> None:
        """Have the order looked at again at that time."""
        await self._documents.update({"_id": order.id}, {"$set": {"due_at": at}})

    async def try_again(self, order: ProviderOrder, at: datetime) -> None:
        """Note that copies could not be deleted, and have it tried again at that time."""
        await self._documents.update({"_id": order.id}, {"$set": {"due_at": at}, "$inc": {"tries": 1}})

    async def close(self, order: ProviderOrder, expires_at: datetime) -> None:
        """Note that nothing is left to do, unless another copy was noted meanwhile; the row goes away by itself."""
        where = {"_id": order.id, "copies": list(order.copies), "tokens": list(order.tokens)}
        await self._documents.update(where, {"$set": {"due_at": None, "expires_at": expires_at}})
