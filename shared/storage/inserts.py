"""Inserts that come at the same moment go to MongoDB in one write, and each learns its own outcome.

A journalled majority write costs a round trip and a share of an fsync however many documents it carries.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import BulkWriteError

from shared.batches import ONE_BY_ONE, Batches
from shared.domain.errors import AlreadyExists
from shared.storage.mongo_errors import DUPLICATE_KEY, StoreUnavailable, translated

Document = dict[str, Any]

_PATIENCE = 0.25  # of a write: a crowd's inserts go in half as many, each later by less than it would wait for another's


class Inserts:
    """The inserts into one collection."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]]) -> None:
        self._collection = collection
        self._batches = Batches(self._write, ONE_BY_ONE, patience=_PATIENCE)

    def insert(self, document: Document) -> Awaitable[None]:
        """Return when the document is stored; raise `AlreadyExists` when a unique key of it is taken."""
        return self._batches(document)

    async def _write(self, documents: Sequence[Document]) -> list[Exception | None]:
        if len(documents) == 1:
            return [await self._write_one(documents[0])]
        try:
            return await self._write_many(documents)
        except StoreUnavailable as error:
            return [StoreUnavailable(str(error)) for _ in documents]
        except Exception:  # noqa: BLE001 - one document that cannot be encoded must not fail the others
            return [await self._write_one(document) for document in documents]

    async def _write_one(self, document: Document) -> Exception | None:
        try:
            async with translated():
                await self._collection.insert_one(document)
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            return error
        return None

    async def _write_many(self, documents: Sequence[Document]) -> list[Exception | None]:
        try:
            async with translated():
                await self._collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            failures = {failure["index"]: failure for failure in error.details["writeErrors"]}
            unconfirmed = bool(error.details.get("writeConcernErrors"))
            return [_error_of(failures.get(index), unconfirmed=unconfirmed) for index in range(len(documents))]
        return [None] * len(documents)


def _error_of(failure: Mapping[str, Any] | None, *, unconfirmed: bool) -> Exception | None:
    if failure is None:
        return StoreUnavailable("a write was not confirmed") if unconfirmed else None
    if failure["code"] == DUPLICATE_KEY:
        return AlreadyExists(str(failure.get("keyValue")))
    return StoreUnavailable(str(failure.get("errmsg")))
