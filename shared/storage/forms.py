"""Documents as Structs, free of the driver's own kinds of values.

An integer of more than 32 bits comes from the driver as a kind of `int` of its own, which no encoder takes. Where a Struct says
what a field holds, it becomes just that; what clients may fill as they like is made plain here.
"""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec
from bson.int64 import Int64
from msgspec import inspect

T = TypeVar("T")


def in_form(document: dict[str, Any], form: type[T]) -> T:
    """Return a document of the driver's as `form`; its free fields are plain afterwards."""
    for name in _free_fields(cast("Hashable", form)):
        if value := document.get(name):
            document[name] = plain(value)
    return msgspec.convert(document, form)


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever MongoDB can hold
    """Return the same value with every integer in it, however deep, an `int`."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return int(value) if isinstance(value, Int64) else value


@lru_cache(maxsize=256)
def _free_fields(form: Hashable) -> tuple[str, ...]:
    """Return the fields of the Struct, by their names in documents, in which there may be anything."""
    described = inspect.type_info(form)
    fields = described.fields if isinstance(described, inspect.StructType) else ()
    return tuple(field.encode_name for field in fields if _is_free(field.type))


def _is_free(described: inspect.Type) -> bool:
    return isinstance(described, inspect.AnyType) or any(map(_is_free, _parts(described)))


def _parts(described: inspect.Type) -> Sequence[inspect.Type]:
    """Return the types that a type is made of; no Struct that is stored holds itself."""
    match described:
        case inspect.StructType():
            return [field.type for field in described.fields]
        case inspect.UnionType():
            return described.types
        case inspect.TupleType():
            return described.item_types
        case inspect.DictType():
            return [described.value_type]
        case inspect.CollectionType():
            return [described.item_type]
    return ()
