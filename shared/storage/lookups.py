"""Lookups by a unique field that come at the same moment go to MongoDB in one query; each reads what stood there after it."""

from collections.abc import Mapping, Sequence
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection

from shared.batches import AT_ONCE, Batches
from shared.storage.mongo_errors import StoreUnavailable, translated

Found = dict[str, Any] | None


class Lookups:
    """The lookups in one collection by `key`; of whole documents, or of the fields in `projection`, which `key` is one of."""

    def __init__(
        self,
        collection: AsyncIOMotorCollection[dict[str, Any]],
        projection: Mapping[str, int] | None = None,
        key: str = "_id",
        at_once: int = AT_ONCE,
        patience: float = 0.0,
    ) -> None:
        self._collection, self._projection, self._key = collection, projection, key
        self._batches = Batches(self._read, at_once, patience=patience)

    async def find(self, value: str) -> Found:
        """Return the document with this value, if there is one; callers of the same moment may be given the same object."""
        return await self._batches(value)

    async def _read(self, values: Sequence[str]) -> list[Found | Exception]:
        wanted = list(dict.fromkeys(values))
        try:
            async with translated():
                if len(wanted) == 1:
                    return [await self._collection.find_one({self._key: wanted[0]}, self._projection)] * len(values)
                found = await self._collection.find({self._key: {"$in": wanted}}, self._projection).to_list(len(wanted))
        except StoreUnavailable as error:
            return [StoreUnavailable(str(error)) for _ in values]
        by_value = {document[self._key]: document for document in found}
        return [by_value.get(value) for value in values]
