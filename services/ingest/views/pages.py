"""Pages of lists."""

from typing import Any, Generic, TypeVar

import msgspec

from services.ingest.paging import Page

T = TypeVar("T")


class PageView(msgspec.Struct, Generic[T], kw_only=True):
    """A page of a list (contract A16)."""

    data: list[T]
    has_more: bool
    next_cursor: str | None


def page_view(page: Page[Any], items: list[T]) -> PageView[T]:
    """Show a page, its items as `items` shows them."""
    return PageView(data=items, has_more=page.next_cursor is not None, next_cursor=page.next_cursor)
