"""Inserts that come at the same moment go to MongoDB in one write, and each learns its own outcome.

A journalled majority write costs a round trip and a share of an fsync however many documents it carries. A document that comes
while writes are under way waits for one of them to end and then goes with all others that wait; alone, it goes at once.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo.errors import BulkWriteError

from shared.domain.errors import AlreadyExists
from shared.storage.mongo_errors import DUPLICATE_KEY, StoreUnavailable, translated

_WRITES_AT_ONCE = 2
_MOST_DOCUMENTS = 200

Waiting = tuple[Mapping[str, Any], "asyncio.Future[None]"]


class Inserts:
    """The inserts into one collection."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]]) -> None:
        self._collection = collection
        self._waiting: list[Waiting] = []
        self._writers: set[asyncio.Task[None]] = set()

    async def insert(self, document: Mapping[str, Any]) -> None:
        """Return when the document is stored; raise `AlreadyExists` when a unique key of it is taken."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((document, stored))
        if len(self._writers) < _WRITES_AT_ONCE:
            writer = asyncio.create_task(self._write_waiting())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        await stored

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_DOCUMENTS], self._waiting[_MOST_DOCUMENTS:]
            if len(batch) == 1:
                await self._write_one(batch[0])
            else:
                await self._write(batch)

    async def _write_one(self, waiting: Waiting) -> None:
        document, stored = waiting
        try:
            async with translated():
                await self._collection.insert_one(dict(document))
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            _settle(stored, error)
        else:
            _settle(stored, None)

    async def _write(self, batch: list[Waiting]) -> None:
        try:
            outcomes = await self._outcomes([document for document, _ in batch])
        except Exception:  # noqa: BLE001 - one document that cannot be encoded must not fail the others
            for waiting in batch:
                await self._write_one(waiting)
            return
        for (_, stored), outcome in zip(batch, outcomes, strict=True):
            _settle(stored, outcome)

    async def _outcomes(self, documents: Sequence[Mapping[str, Any]]) -> list[Exception | None]:
        """Write the documents and return the error of each, None where there is none."""
        try:
            async with translated():
                await self._collection.insert_many([dict(document) for document in documents], ordered=False)
        except BulkWriteError as error:
            failures = {failure["index"]: failure for failure in error.details["writeErrors"]}
            unconfirmed = bool(error.details.get("writeConcernErrors"))
            return [_error_of(failures.get(index), unconfirmed=unconfirmed) for index in range(len(documents))]
        except StoreUnavailable as error:
            return [StoreUnavailable(str(error)) for _ in documents]
        return [None] * len(documents)


def _error_of(failure: Mapping[str, Any] | None, *, unconfirmed: bool) -> Exception | None:
    if failure is None:
        return StoreUnavailable("a write was not confirmed") if unconfirmed else None
    if failure["code"] == DUPLICATE_KEY:
        return AlreadyExists(str(failure.get("keyValue")))
    return StoreUnavailable(str(failure.get("errmsg")))


def _settle(stored: "asyncio.Future[None]", error: Exception | None) -> None:
    if stored.done():  # whoever waited has gone
        return
    if error is None:
        stored.set_result(None)
    else:
        stored.set_exception(error)
