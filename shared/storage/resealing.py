"""What is sealed in a collection is sealed anew, document by document, whatever becomes of each."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from pymongo import ASCENDING

from shared.sealing import KeyNotGiven, SealBroken
from shared.storage.documents import Documents

T = TypeVar("T", bound=Any)

_BATCH = 200
_BY_ID = (("_id", ASCENDING),)


class RowUnreadable(Exception):
    """A row is not in the form that this release knows: a newer one wrote it, or a hand changed it."""


class Resealed(msgspec.Struct, kw_only=True):
    """How many documents were sealed anew, and why others were not: they do not open, or cannot be read."""

    documents: int = 0
    left: list[KeyNotGiven | SealBroken | RowUnreadable] = msgspec.field(default_factory=list)


async def reseal_each(
    documents: Documents[T], is_current: Callable[[T], bool], reseal: Callable[[T], Awaitable[bool]]
) -> Resealed:
    """Have every document that is not current sealed anew by `reseal`, which returns False when it changed meanwhile.

    Such a one is read again, until it is current; one that does not open, or cannot be read, is left as it is, and the others
    go on.
    """
    after, resealed = "", Resealed()
    while batch := await documents.project({"_id": {"$gt": after}}, ["_id"], _BY_ID, _BATCH):
        for row in batch:
            try:
                resealed.documents += await _reseal(documents, row["_id"], is_current, reseal)
            except (KeyNotGiven, SealBroken, RowUnreadable) as error:
                resealed.left.append(error)
        after = batch[-1]["_id"]
    return resealed


async def _reseal(
    documents: Documents[T], document_id: str, is_current: Callable[[T], bool], reseal: Callable[[T], Awaitable[bool]]
) -> bool:
    try:
        while (present := await documents.get(document_id)) is not None and not is_current(present):
            if await reseal(present):
                return True
    except msgspec.ValidationError as error:
        raise RowUnreadable(f"{documents.name}/{document_id} cannot be read: {error}") from error
    return False
