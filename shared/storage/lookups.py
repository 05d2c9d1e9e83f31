"""Lookups by a unique field that come at the same moment go to MongoDB in one query; each reads what stood there after it."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from motor.motor_asyncio import AsyncIOMotorCollection

from shared.batches import AT_ONCE, ONE_BY_ONE, Batches
from shared.storage.forms import in_form
from shared.storage.mongo_errors import StoreUnavailable, translated

T = TypeVar("T", bound=msgspec.Struct)

_PATIENCE = 1.0  # of a lookup in a view: one costs the API more than all else that a chunk does


class Lookups(Generic[T]):
    """The lookups in one collection by `key`; of whole documents, or of the fields in `projection`, which `key` is one of."""

    def __init__(
        self,
        collection: AsyncIOMotorCollection[dict[str, Any]],
        form: type[T],
        projection: Mapping[str, int] | None = None,
        key: str = "_id",
        patience: float | None = None,
    ) -> None:
        """See documents as `form`; with `patience` (see `Batches`) there is one query after the other."""
        self._collection, self._form, self._projection, self._key = collection, form, projection, key
        self._batches = Batches(self._read, AT_ONCE if patience is None else ONE_BY_ONE, patience=patience or 0.0)

    def find(self, value: str) -> Awaitable[T | None]:
        """Return the document with this value, if there is one; callers of the same moment may be given the same object."""
        return self._batches(value)

    async def _read(self, values: Sequence[str]) -> list[T | Exception | None]:
        wanted = list(dict.fromkeys(values))
        try:
            async with translated():
                if len(wanted) == 1:
                    one = await self._collection.find_one({self._key: wanted[0]}, self._projection)
                    found = [] if one is None else [one]
                else:
                    found = await self._collection.find({self._key: {"$in": wanted}}, self._projection).to_list(len(wanted))
        except StoreUnavailable as error:
            return [StoreUnavailable(str(error)) for _ in values]
        by_value = {document[self._key]: self._seen(document) for document in found}
        return [by_value.get(value) for value in values]

    def _seen(self, document: dict[str, Any]) -> T | Exception:
        try:
            return in_form(document, self._form)
        except msgspec.ValidationError as error:
            return error


class View(Generic[T]):
    """Some fields of a collection's documents, by id or another unique field."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]], form: type[T], key: str = "_id") -> None:
        self._lookups = Lookups(collection, form, dict.fromkeys(form.__struct_encode_fields__, 1), key, _PATIENCE)

    def get(self, value: str) -> Awaitable[T | None]:
        """Return the fields of the document with this value; cheaper than `find_one` where many are asked for at once."""
        return self._lookups.find(value)
