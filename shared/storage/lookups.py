"""Lookups by id that come at the same moment go to MongoDB in one query; each reads what stood there after it was asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection

from shared.storage.batches import Batches
from shared.storage.mongo_errors import StoreUnavailable, translated

Found = dict[str, Any] | None


class Lookups:
    """The lookups in one collection; of whole documents, or of the fields in `projection`."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]], projection: Mapping[str, int] | None = None) -> None:
        self._collection, self._projection = collection, projection
        self._batches = Batches(self._read)

    async def find(self, document_id: str) -> Found:
        """Return the document with this id, if there is one; callers of the same moment may be given the same object."""
        return await self._batches(document_id)

    async def _read(self, ids: Sequence[str]) -> list[Found | Exception]:
        wanted = list(dict.fromkeys(ids))
        try:
            async with translated():
                if len(wanted) == 1:
                    return [await self._collection.find_one({"_id": wanted[0]}, self._projection)] * len(ids)
                found = await self._collection.find({"_id": {"$in": wanted}}, self._projection).to_list(len(wanted))
        except StoreUnavailable as error:
            return [StoreUnavailable(str(error)) for _ in ids]
        by_id = {document["_id"]: document for document in found}
        return [by_id.get(document_id) for document_id in ids]
