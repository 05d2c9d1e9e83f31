"""First pages of lists that are asked for at the same moment are read by one query, and each gets its own.

The query is one branch for each page that differs, every one of them by an index and no longer than its page, so that none keeps
another waiting. Whoever watches the same list is given the same page, as it stood after the last of them asked. What is asked
alone, or begins deep in a list, goes alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from motor.motor_asyncio import AsyncIOMotorCollection

from shared.batches import ONE_BY_ONE, Batches
from shared.storage.mongo_errors import StoreUnavailable, translated

F = TypeVar("F", bound=msgspec.Struct)
Rows = list[dict[str, Any]]

_MOST_ASKERS = 100  # answered together: many of a crowd ask for the same page
_TOGETHER = 25  # pages that differ, in one query
_PATIENCE = 1.0  # of a query: who has just been given a page often asks for the next, and a query costs more than the pages in it


class PageQuery(msgspec.Struct, frozen=True):
    """The first `limit` documents that match `where`, those with the highest ids first."""

    where: Mapping[str, Any]
    limit: int


class Pages(Generic[F]):
    """Pages of a collection's documents, newest first, of which no fields are read but those of `form`."""

    def __init__(self, collection: AsyncIOMotorCollection[dict[str, Any]], form: type[F]) -> None:
        self._collection, self._form = collection, form
        self._fields = dict.fromkeys(form.__struct_encode_fields__, 1)
        self._batches: Batches[PageQuery, tuple[F, ...]] = Batches(self._read, ONE_BY_ONE, _MOST_ASKERS, _PATIENCE)

    async def first(self, where: Mapping[str, Any], limit: int) -> tuple[F, ...]:
        """Return a page as it stood after this was called; who asks for the same at the same moment is given the same object."""
        return await self._batches(PageQuery(where, limit))

    async def _read(self, queries: Sequence[PageQuery]) -> list[tuple[F, ...] | Exception]:
        distinct: list[PageQuery] = []
        for query in queries:
            if query not in distinct:
                distinct.append(query)
        try:
            async with translated():
                found = [page for group in _groups(distinct) for page in await self._read_group(group)]
        except StoreUnavailable as error:
            return [StoreUnavailable(str(error)) for _ in queries]
        pages = [msgspec.convert(rows, tuple[self._form, ...]) for rows in found]  # type: ignore[name-defined]
        return [pages[distinct.index(query)] for query in queries]

    async def _read_group(self, queries: Sequence[PageQuery]) -> list[Rows]:
        return await (self._read_one(queries[0]) if len(queries) == 1 else self._read_several(queries))

    async def _read_one(self, query: PageQuery) -> list[Rows]:
        cursor = self._collection.find(query.where, self._fields, sort=[("_id", -1)], limit=query.limit)
        return [await cursor.to_list(query.limit)]

    async def _read_several(self, queries: Sequence[PageQuery]) -> list[Rows]:
        first, *others = [self._branch(query, number) for number, query in enumerate(queries)]
        unions = [{"$unionWith": {"coll": self._collection.name, "pipeline": branch}} for branch in others]
        found = await self._collection.aggregate([*first, *unions]).to_list(len(queries))
        rows = {page["_id"]: page["rows"] for page in found}  # of an empty page nothing comes
        return [rows.get(number, []) for number in range(len(queries))]

    def _branch(self, query: PageQuery, number: int) -> list[dict[str, Any]]:
        """Return the stages that make one document of a page."""
        return [
            {"$match": query.where},
            {"$sort": {"_id": -1}},
            {"$limit": query.limit},
            {"$project": self._fields},
            {"$group": {"_id": number, "rows": {"$push": "$$ROOT"}}},
        ]


def _groups(queries: Sequence[PageQuery]) -> Iterator[Sequence[PageQuery]]:
    """Yield the queries, as many at a time as go in one."""
    for start in range(0, len(queries), _TOGETHER):
        yield queries[start : start + _TOGETHER]
