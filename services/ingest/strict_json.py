"""Request bodies: JSON without duplicate keys, NaN, NUL or broken characters, decoded into Structs without coercion (A1)."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn, TypeVar

import msgspec

from services.ingest.choices import with_choices
from services.ingest.refusals import InvalidRequest

T = TypeVar("T")

_PATH = re.compile(r" - at `\$\.?([^`]*)`\Z")
_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_FLOAT_FOR_INTEGER = re.compile(r"Expected `[^`]*\bint\b[^`]*`, got `float`")
_LONGEST_FAULT = 200
_EXACT = 2**53  # up to here a float is the integer that was written
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def decode(body: bytes, form: type[T]) -> T:
    """Return `body` as `form`; whatever is wrong with it is an `InvalidRequest` that names the field."""
    return fitted(parse(body), form)


def fitted(value: Any, form: type[T]) -> T:  # noqa: ANN401 - any JSON value
    """Return `value` as `form`; raises `InvalidRequest`, which names the field.

    A field that wants an integer takes 300.0 for 300, and `value` itself holds 300 then: JSON does not tell them apart, and some
    languages write it so.
    """
    while True:
        try:
            return msgspec.convert(value, form)
        except msgspec.ValidationError as error:
            if not _made_integer(value, str(error)):
                raise invalid(error, form) from error


def parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value in `body`, or raise `InvalidRequest`."""
    try:
        text = body.decode()
        value = _value_of(text)
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


def invalid(error: msgspec.ValidationError, form: Any) -> InvalidRequest:  # noqa: ANN401 - what was wanted
    """Turn what msgspec found into a refusal that names the field, and the words that it takes where those are few."""
    message = str(error)
    path = _PATH.search(message)
    param = path[1] if path else ""
    fault = message[: path.start()] if path else message
    if missing := _MISSING.match(fault):
        param = f"{param}.{missing[1]}".lstrip(".")
    shown = fault if len(fault) <= _LONGEST_FAULT else f"{fault[:_LONGEST_FAULT]}…"  # it may repeat what was sent
    return InvalidRequest(with_choices(shown, form, param), param=param or None)


def _made_integer(value: Any, fault: str) -> bool:  # noqa: ANN401 - any JSON value
    """Put an integer in place of the whole number that the fault is about; say whether there was one."""
    path = _PATH.search(fault)
    if path is None or _FLOAT_FOR_INTEGER.match(fault) is None:
        return False
    *parents, last = path[1].split(".")
    for parent in parents:
        value = value.get(parent) if isinstance(value, dict) else None
    number = value.get(last) if isinstance(value, dict) else None
    if not isinstance(number, float) or not number.is_integer() or abs(number) > _EXACT:
        return False
    value[last] = int(number)
    return True


def _value_of(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value that `text` is; `decode` looks for spaces around it by two patterns, and most often there are none."""
    try:
        value, end = _decoder.raw_decode(text)
    except json.JSONDecodeError:
        return _decoder.decode(text)
    return value if end == len(text) else _decoder.decode(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        duplicate = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidRequest("the body has a key twice in one object", param=duplicate[:80])
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"the body holds {name}, which is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


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
