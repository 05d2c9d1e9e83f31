"""What a field of a form, or a parameter, may be, where that is one of a few words: said to whoever sends another."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import inspect

_UNKNOWN_WORD = "Invalid enum value"


def with_choices(fault: str, form: Any, path: str = "") -> str:  # noqa: ANN401 - a Struct, or another annotation
    """Return what msgspec found at `path` of `form`, with the words that it takes where that was another."""
    known = _choices(form, path) if fault.startswith(_UNKNOWN_WORD) else []
    return f"{fault}: it is one of {', '.join(known)}" if known else fault


def _choices(form: Any, path: str) -> list[str]:  # noqa: ANN401 - as above
    kinds = [inspect.type_info(form)]
    for step in filter(None, path.split(".")):
        name, *indexes = step.split("[")
        kinds = [field.type for kind in _each(kinds) for field in getattr(kind, "fields", ()) if field.encode_name == name]
        for _ in indexes:
            kinds = [kind.item_type for kind in _each(kinds) if hasattr(kind, "item_type")]
    return [word for kind in _each(kinds) for word in _words(kind)]


def _words(kind: inspect.Type) -> list[str]:
    if isinstance(kind, inspect.EnumType):
        return [str(member.value) for member in kind.cls]
    return [str(value) for value in kind.values] if isinstance(kind, inspect.LiteralType) else []


def _each(kinds: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    """Yield the kinds, of a union each, without what is said about them."""
    for kind in kinds:
        if isinstance(kind, inspect.UnionType):
            yield from _each(kind.types)
        elif isinstance(kind, inspect.Metadata):
            yield from _each([kind.type])
        else:
            yield kind
