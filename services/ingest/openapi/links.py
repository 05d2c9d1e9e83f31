"""From the answer that made something to what can be done with it: the links of OpenAPI, by which programs find their way."""

import re
from collections.abc import Iterator
from typing import Any

Paths = dict[str, dict[str, dict[str, Any]]]

_NAMED = re.compile(r"\{(\w+)\}")
_ITEM = re.compile(r"(.+)/\{(\w+_id)\}")


def link(paths: Paths) -> None:
    """Give every answer of a POST that holds a new id its links, named after the operations that take the id in their path."""
    items = {path: match[2] for path in paths if (match := _ITEM.fullmatch(path)) is not None}
    for path, operations in paths.items():
        for response in _successes(operations.get("post", {})):
            if (item := _item_of(path, response, items, paths)) is not None:
                others = [other for other, name in items.items() if name == items[item] and other != item]
                targets = {way: paths[way] for way in paths if not any(_is_at_or_below(way, other) for other in others)}
                response["links"] = dict(_links(path, items[item], targets))


def _successes(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (answer for status, answer in operation.get("responses", {}).items() if status.startswith("2"))


def _item_of(path: str, response: dict[str, Any], items: dict[str, str], paths: Paths) -> str | None:
    """Return under which path there is what the answer shows: one step further down, or where the same is read."""
    for item, name in items.items():
        below = item == f"{path}/{{{name}}}"
        if below or (f"{{{name}}}" not in path and _is_read(paths[item], response)):
            return item
    return None


def _is_read(item: dict[str, dict[str, Any]], response: dict[str, Any]) -> bool:
    read = item.get("get", {}).get("responses", {}).get("200", {})
    return bool(response.get("content")) and read.get("content") == response["content"]


def _is_at_or_below(path: str, item: str) -> bool:
    return path == item or path.startswith(f"{item}/")


def _links(source: str, name: str, targets: Paths) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a link to each operation that takes the new id and needs no other than the source's own."""
    known = {**{each: f"$request.path.{each}" for each in _NAMED.findall(source)}, name: "$response.body#/id"}
    for path, operations in targets.items():
        wanted = _NAMED.findall(path)
        if name not in wanted or any(each.endswith("_id") and each not in known for each in wanted):
            continue
        given = {each: known[each] for each in wanted if each in known}
        for operation in operations.values():
            target = operation["operationId"]
            yield target, {"operationId": target, "parameters": given}
