"""How much waits in a collection that is worked off by the time at which each document is due."""

from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING

from shared.domain.clock import now
from shared.storage.documents import Documents

_MOST_COUNTED = 10_000


async def queue_state(documents: Documents[Any], due_at: str, where: Mapping[str, Any] | None = None) -> tuple[int, float]:
    """Return how many documents are due, counted up to 10 000, and for how many seconds the oldest has been.

    `due_at` names the field, which has an index of the times in it; a dot leads into an object.
    """
    due = {due_at: {"$lte": now(), "$type": "date"}, **(where or {})}
    oldest = await documents.project(due, [due_at], ((due_at, ASCENDING),), 1)
    if not oldest:
        return 0, 0.0
    found: Any = oldest[0]
    for name in due_at.split("."):
        found = found[name]
    return await documents.count(due, _MOST_COUNTED), max(0.0, (now() - found).total_seconds())
