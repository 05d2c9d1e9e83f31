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


class Resealed(msgspec.Struct, kw_only=True):
    """How many documents were sealed anew, and why others were not, for they do not open."""

    documents: int = 0
    left: list[KeyNotGiven | SealBroken] = msgspec.field(default_factory=list)


async def reseal_each(
    documents: Documents[T], is_current: Callable[[T], bool], reseal: Callable[[T], Awaitable[bool]]
) -> Resealed:
    """Have every document that is not current sealed anew by `reseal`, which returns False when it changed meanwhile.

    Such a one is read again, until it is current; one that does not open is left as it is, and the others go on.
    """
    after, resealed = "", Resealed()
    while batch := await documents.find({"_id": {"$gt": after}}, _BY_ID, _BATCH):
        for kept in batch:
            try:
                resealed.documents += await _reseal(documents, kept, is_current, reseal)
            except (KeyNotGiven, SealBroken) as error:
                resealed.left.append(error)
        after = batch[-1].id
    return resealed


async def _reseal(
    documents: Documents[T], kept: T, is_current: Callable[[T], bool], reseal: Callable[[T], Awaitable[bool]]
) -> bool:
    present: T | None = kept
    while present is not None and not is_current(present):
        if await reseal(present):
            return True
        present = await documents.get(present.id)
    return False
