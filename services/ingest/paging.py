"""Pages of lists, newest first, by cursor or by offset (contract A16)."""

from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from services.ingest.refusals import InvalidRequest
from services.ingest.signatures import Signatures
from shared.domain.tenant import Tenant

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
MAX_OFFSET = 1_000_000

OPERATOR = Tenant("admin")
"""Whose the cursors of the operator's lists are: no project has this id."""


class Identified(Protocol):
    """What has an id that sorts by time."""

    @property
    def id(self) -> str:
        """The id."""


T = TypeVar("T", bound=Identified)
Read = Callable[[int, str | None, int], Awaitable[list[T]]]
"""Reads at most so many items, of ids below the given one, after so many others."""


class PageRequest(msgspec.Struct, frozen=True):
    """Which page is asked for; `offset` counts when it is given, else `cursor`."""

    limit: int = DEFAULT_LIMIT
    offset: int | None = None
    cursor: str | None = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page; `next_cursor` is None at the end."""

    items: list[T]
    next_cursor: str | None


class Place(NamedTuple):
    """What to read: at most `limit` items, of ids below `before` if given, after `offset` others."""

    limit: int
    before: str | None
    offset: int


def given(**filters: str | None) -> dict[str, str]:
    """Return those of a list's filters that are given, by field, as a store compares them."""
    return {name: str(wanted) for name, wanted in filters.items() if wanted is not None}


class Pager:
    """Turns a request for a page into one read, of one item more than the page holds."""

    def __init__(self, signatures: Signatures) -> None:
        self._signatures = signatures

    async def page(self, tenant: Tenant, listing: str, request: PageRequest, read: Read[T]) -> Page[T]:
        """Return the page; a cursor of another tenant or another `listing` is refused."""
        return self.cut(tenant, listing, request, await read(*self.place(tenant, listing, request)))

    def place(self, tenant: Tenant, listing: str, request: PageRequest) -> Place:
        """Return what has to be read for the page."""
        if not 1 <= request.limit <= MAX_LIMIT:
            raise InvalidRequest(f"limit must be from 1 to {MAX_LIMIT}", param="limit")
        if request.offset is not None and not 0 <= request.offset <= MAX_OFFSET:
            raise InvalidRequest(f"offset must be from 0 to {MAX_OFFSET}; page further by cursor", param="offset")
        before = None
        if request.offset is None and request.cursor:
            before = self._signatures.position(tenant, listing, request.cursor)
        return Place(request.limit + 1, before, request.offset or 0)

    def cut(self, tenant: Tenant, listing: str, request: PageRequest, items: list[T]) -> Page[T]:
        """Return the page that was read with its `place`."""
        kept = items[: request.limit]
        more = len(items) > request.limit
        return Page(kept, self._signatures.cursor(tenant, listing, kept[-1].id) if more else None)
