"""One MongoDB collection seen as Structs; only this, `inserts.py`, `lookups.py`, `pages.py` and `mongo.py` call the driver."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import DESCENDING, IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure
from pymongo.write_concern import WriteConcern

from shared.passed_over import PassedOver
from shared.storage.forms import in_form, plain
from shared.storage.inserts import Inserts
from shared.storage.lookups import Lookups, View
from shared.storage.mongo_errors import DUPLICATE_KEY, refused_batch, translated
from shared.telemetry.logs import get_logger

log = get_logger()

T = TypeVar("T", bound=msgspec.Struct)
V = TypeVar("V", bound=msgspec.Struct)
R = TypeVar("R")
Filter = Mapping[str, Any]
Change = Mapping[str, Any] | Sequence[Mapping[str, Any]]  # or a pipeline of them
Sort = Sequence[tuple[str, int]]
NEWEST_FIRST: Sort = (("_id", DESCENDING),)  # ids sort by the time at which they were made
_EXPIRY, _PARTIAL = "expireAfterSeconds", "partialFilterExpression"
_FURTHER = 100  # documents of a queue that are read at a time behind one that cannot be
_CONFLICTS = frozenset({85, 86})  # IndexOptionsConflict, IndexKeySpecsConflict
_DISTURBED = frozenset({27, 276})  # IndexNotFound, IndexBuildAborted: another replica drops and creates the same
_RENEWALS = 20  # tries: each replica that starts at the same moment may spoil one


def to_builtins(value: object) -> Any:  # noqa: ANN401 - whatever MongoDB can hold
    """Return `value` as MongoDB takes it: Structs become documents, times and bytes stay."""
    return msgspec.to_builtins(value, builtin_types=(datetime, bytes))


def but_for(ids: Sequence[Any], where: Filter) -> Filter:
    """Return what matches the same as `where`, but for the documents of these ids."""
    return {"$and": [where, {"_id": {"$nin": list(ids)}}]} if ids else where


class Documents(Generic[T]):
    """A collection whose documents have the form of one Struct; unknown fields of a document are passed over."""

    def __init__(
        self, collection: AsyncIOMotorCollection[dict[str, Any]], form: type[T], fields: Mapping[str, Any] | None = None
    ) -> None:
        """See documents as `form`; `fields` is what is asked for of each, or (all 0) what is not; None: all of it."""
        self.name = collection.name
        self._collection, self._wanted = collection, fields
        self._inserts, self._lookups = Inserts(collection), Lookups(collection, form, fields)
        self._hasty = collection.with_options(write_concern=WriteConcern(w=1))
        self._form = form
        self._unreadable = PassedOver()

    async def ensure_indexes(self, indexes: Sequence[IndexModel]) -> None:
        """Create what is missing and bring changed ones into force; safe to run from many replicas at once."""
        async with translated(within_s=None):
            if lasting := [index for index in indexes if _EXPIRY not in index.document]:
                await self._ensure_lasting(lasting)
            for index in indexes:
                if _EXPIRY in index.document:
                    await self._ensure_expiry(index)

    async def _ensure_lasting(self, indexes: Sequence[IndexModel]) -> None:
        """Create the indexes; where an earlier release left another of the name, one by one, each in the place of that."""
        try:
            await self._collection.create_indexes(indexes)
        except OperationFailure as error:
            if error.code not in _CONFLICTS:
                raise
            for index in indexes:
                await self._renew(index)

    async def _renew(self, index: IndexModel) -> None:
        """Create the index, and drop what is in its way before; not for what is to be unique, which must hold at every moment."""
        for tries_left in reversed(range(_RENEWALS)):
            try:
                await self._collection.create_indexes([index])
            except OperationFailure as error:
                renewable = error.code in _CONFLICTS and not index.document.get("unique")
                if tries_left == 0 or not (renewable or error.code in _DISTURBED):
                    raise
                if renewable:
                    await self._drop_older(index.document)
            else:
                return

    async def _drop_older(self, wanted: Mapping[str, Any]) -> None:
        for name, kept in (await self._collection.index_information()).items():
            same = kept["key"] == list(wanted["key"].items()) and kept.get(_PARTIAL) == wanted.get(_PARTIAL)
            if same or name == wanted["name"]:
                try:
                    await self._collection.drop_index(name)
                    log.warning("index.renewed", of=self.name, index=name)
                except OperationFailure as error:
                    if error.code not in _DISTURBED:
                        raise

    async def _ensure_expiry(self, index: IndexModel) -> None:
        """Create the index; one that is there with another expiry time is changed in place, without being built anew."""
        try:
            await self._collection.create_indexes([index])
        except OperationFailure as error:
            if error.code not in _CONFLICTS:
                raise
            expiry = {"name": index.document["name"], _EXPIRY: index.document[_EXPIRY]}
            await self._collection.database.command("collMod", self.name, index=expiry)

    def seen_as(self, form: type[V], key: str = "_id") -> View[V]:
        """Return a view of the same documents, by a unique field, that reads no fields but those of `form`."""
        return View(self._collection, form, key)

    def get(self, document_id: str) -> Awaitable[T | None]:
        """Return the document with this id; cheaper than `find_one` where many are asked for at once."""
        return self._lookups.find(document_id)

    async def find_all(self, document_ids: Collection[str]) -> list[T]:
        """Return those of these documents that are there, in no order."""
        return await self.find({"_id": {"$in": list(document_ids)}}, None, len(document_ids))

    async def find_one(self, where: Filter, sort: Sort | None = None) -> T | None:
        """Return the first document that matches, or None."""
        async with translated():
            found = await self._collection.find_one(where, self._wanted, sort=sort)
        return None if found is None else in_form(found, self._form)

    async def find_first(self, wheres: Sequence[Filter], sort: Sort, skip: int = 0) -> T | None:
        """Return the first document, after `skip` others, that matches the first of `wheres`, else the next; as of a queue.

        So one that is not in the form is logged and passed over, here for a minute; as a rule it is one query.
        """
        limit = 1
        while found := await self._first(wheres, sort, skip, limit):
            for document in found:
                if (one := self._readable(document)) is not None:
                    return one
            limit = _FURTHER
        return None

    async def _first(self, wheres: Sequence[Filter], sort: Sort, skip: int, limit: int) -> list[dict[str, Any]]:
        unreadable = self._unreadable.ids()
        rest: list[dict[str, Any]] = [{"$sort": dict(sort)}, *([{"$skip": skip}] if skip else []), {"$limit": limit}]
        first, *others = [[{"$match": but_for(unreadable, where)}, *rest] for where in wheres]
        unions = [{"$unionWith": {"coll": self.name, "pipeline": each}} for each in others]  # run only while too few were found
        fields = [{"$project": self._wanted}] if self._wanted else []
        async with translated():
            return await self._collection.aggregate([*first, *unions, {"$limit": limit}, *fields]).to_list(limit)

    async def find(self, where: Filter, sort: Sort | None, limit: int, skip: int = 0) -> list[T]:
        """Return at most `limit` documents in the order of `sort`."""
        return [in_form(document, self._form) for document in await self._find(where, sort, limit, skip)]

    async def page(self, where: Filter, limit: int, *, before: str | None = None, offset: int = 0) -> list[T]:
        """Return at most `limit` documents by their ids downwards, those below `before` if given, after `offset` others."""
        below = {} if before is None else {"_id": {"$lt": before}}
        return await self.find({**where, **below}, NEWEST_FIRST, limit, offset)

    async def find_readable(self, where: Filter, sort: Sort, limit: int) -> list[T]:
        """Return those of at most `limit` documents that are in the form; each of the others is logged once a minute."""
        found = await self._find(where, sort, limit)
        return [one for document in found if (one := self._readable(document)) is not None]

    async def find_queued(self, where: Filter, sort: Sort, limit: int) -> list[T]:
        """Return at most `limit` documents in the order of `sort`, as of a queue: see `find_first`."""
        return await self.find_queued_as(where, sort, limit, lambda one: one)

    async def find_queued_as(self, where: Filter, sort: Sort, limit: int, read: Callable[[T], R | None]) -> list[R]:
        """Return what `read` makes of them; one of which it makes nothing (None) is passed over for a minute, too.

        They are fewer than `limit` only where there are no more: in the place of those passed over come the next.
        """
        while found := await self._find(but_for(self._unreadable.ids(), where), sort, limit):
            made: list[R] = []
            for document in found:
                one = self._readable(document)
                if one is None or (as_read := read(one)) is None:
                    self._unreadable.add(document["_id"])
                else:
                    made.append(as_read)
            if len(made) == len(found):
                return made
        return []

    async def _find(self, where: Filter, sort: Sort | None, limit: int, skip: int = 0) -> list[dict[str, Any]]:
        async with translated():
            return await self._collection.find(where, self._wanted, sort=sort, limit=limit, skip=skip).to_list(limit)

    def _readable(self, document: dict[str, Any]) -> T | None:
        try:
            return in_form(document, self._form)
        except msgspec.ValidationError as error:
            if self._unreadable.add(document["_id"]):
                about = {"of": self.name, "id": document["_id"], "reason": str(error)[:200]}
                log.error("document.unreadable", **about)  # noqa: TRY400 - there is nothing in the stack
            return None

    async def project(self, where: Filter, fields: Sequence[str], sort: Sort | None, limit: int) -> list[dict[str, Any]]:
        """Return only `fields` (and `_id`) of at most `limit` documents, as they stand."""
        async with translated():
            cursor = self._collection.find(where, dict.fromkeys(fields, 1), sort=sort, limit=limit)
            found = await cursor.to_list(limit)
        return [plain(document) for document in found]

    def insert(self, document: T, **extra: Any) -> Awaitable[None]:  # noqa: ANN401 - fields that the Struct does not show
        """Store a new document; raise `AlreadyExists` when a unique key is taken."""
        return self._inserts.insert(to_builtins(document) | extra)

    async def insert_new(self, documents: Sequence[dict[str, Any]], *, hasty: bool = False) -> set[int]:
        """Store those documents whose keys are free; return the positions of those that were there already.

        What a `hasty` insert stored can be read at once, and may be undone by a crash of the server until the same was inserted
        without haste.
        """
        collection = self._hasty if hasty else self._collection
        try:
            async with translated():
                await collection.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            failures = error.details["writeErrors"]
            if any(failure["code"] != DUPLICATE_KEY for failure in failures) or error.details.get("writeConcernErrors"):
                raise refused_batch(error) from None
            return {failure["index"] for failure in failures}
        return set()

    async def update(self, where: Filter, change: Change, *, upsert: bool = False, hasty: bool = False) -> bool:
        """Change one document; return whether one matched or was made. A crash of the server may undo a `hasty` change."""
        async with translated():
            result = await (self._hasty if hasty else self._collection).update_one(where, change, upsert=upsert)
        return bool(result.matched_count or result.upserted_id is not None)

    async def update_each(self, changes: Sequence[tuple[Filter, Mapping[str, Any]]]) -> int:
        """Change one document by each of the changes, in one write; return how many matched."""
        updates = [UpdateOne(where, change) for where, change in changes]
        try:
            async with translated():
                return int((await self._collection.bulk_write(updates, ordered=False)).matched_count)
        except BulkWriteError as error:
            raise refused_batch(error) from None

    async def update_many(self, where: Filter, change: Change, *, hasty: bool = False) -> int:
        """Change every document that matches; return how many did. A `hasty` change may be undone by a crash of the server."""
        async with translated(within_s=None):
            return int((await (self._hasty if hasty else self._collection).update_many(where, change)).matched_count)

    async def change(
        self, where: Filter, change: Change, sort: Sort | None = None, *, upsert: bool = False, hasty: bool = False
    ) -> T | None:
        """Change one document atomically and return it as it stands after, or None when none matched (and none was made).

        A `hasty` change may be undone by a crash of the server.
        """
        collection = self._hasty if hasty else self._collection
        found = await self._changed(collection, where, change, sort, upsert=upsert)
        return None if found is None else in_form(found, self._form)

    async def claim(self, where: Filter, change: Change, sort: Sort | None = None) -> T | None:
        """Change a document of a queue, after which it does not match any more; past one not in the form to the next."""
        while (found := await self._changed(self._collection, where, change, sort)) is not None:
            if (one := self._readable(found)) is not None:
                return one
        return None

    async def _changed(
        self,
        collection: AsyncIOMotorCollection[dict[str, Any]],
        where: Filter,
        change: Change,
        sort: Sort | None = None,
        *,
        upsert: bool = False,
    ) -> dict[str, Any] | None:
        async with translated():
            return await collection.find_one_and_update(
                where, change, self._wanted, sort=sort, upsert=upsert, return_document=ReturnDocument.AFTER
            )

    async def delete(self, where: Filter) -> bool:
        """Delete one document; return whether there was one."""
        async with translated():
            return bool((await self._collection.delete_one(where)).deleted_count)

    async def delete_many(self, where: Filter) -> int:
        """Delete every document that matches; return how many did."""
        async with translated(within_s=None):
            return int((await self._collection.delete_many(where)).deleted_count)

    async def count(self, where: Filter, limit: int) -> int:
        """Count the documents that match, giving up at `limit`."""
        async with translated():
            return int(await self._collection.count_documents(where, limit=limit))
