"""Request bodies: JSON without duplicate keys, NaN, NUL or broken characters, decoded into Structs without coercion (A1)."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

from services.ingest.refusals import InvalidRequest

T = TypeVar("T")

_PATH = re.compile(r" - at `\$\.?(.*)`\Z")
_MISSING = re.compile(r"required field `([^`]+)`")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def decode(body: bytes, form: type[T]) -> T:
    """Return `body` as `form`; whatever is wrong with it is an `InvalidRequest` that names the field."""
    value = parse(body)
    try:
        return msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        raise invalid(error) from error


def parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value in `body`, or raise `InvalidRequest`."""
    try:
        text = body.decode()
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is not UTF-8") from error
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:  # a number of thousands of digits
        raise InvalidRequest("the body holds a number that is too long") from error
    if "\\u" in text and any(map(_UNSTORABLE.search, _strings(value))):
        raise InvalidRequest("the body holds text with NUL or half a character (a lone surrogate)")
    return value


def invalid(error: msgspec.ValidationError) -> InvalidRequest:
    """Turn what msgspec found into a refusal that names the field."""
    message = str(error)
    path = _PATH.search(message)
    param = path[1] if path else ""
    if missing := _MISSING.search(message):
        param = f"{param}.{missing[1]}".lstrip(".")
    return InvalidRequest(_PATH.sub("", message), param=param or None)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        duplicate = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidRequest("the body has a key twice in one object", param=duplicate[:80])
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"the body holds {name}, which is not JSON")


def _strings(value: object) -> Iterator[str]:
    """Yield every text in `value`, keys included."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
