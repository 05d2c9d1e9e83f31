"""What clients may send at most, and refusals that say the limit."""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Any

import msgspec

from services.ingest.refusals import CodedBody, HeadersTooLarge, InvalidRequest, UrlTooLong

MAX_BODY_BYTES = 1024 * 1024
MAX_NAME = 255
MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 8
MAX_CHUNK_NUMBER = 999_999
MAX_INTEGER = 2**63 - 1
MAX_HEADERS = 100
MAX_HEADER_BYTES = 64 * 1024
MAX_PATH = 8 * 1024
MAX_QUERY_BYTES = 8 * 1024

_VALUES = {"$ref": "#/components/schemas/MetadataValue"}
_OBJECT = {"propertyNames": {"pattern": r"^(?!\$)"}, "additionalProperties": _VALUES}
METADATA_VALUE: Mapping[str, Any] = {
    "description": f"What metadata holds: at most {MAX_METADATA_DEPTH} levels, and {MAX_METADATA_BYTES} bytes of JSON in all.",
    "anyOf": [
        {"type": ["string", "boolean", "null"]},
        {"type": "number", "minimum": -MAX_INTEGER - 1, "maximum": MAX_INTEGER},
        {"type": "array", "items": _VALUES},
        {"type": "object", **_OBJECT},
    ],
}
"""The component `MetadataValue` of the description."""

Metadata = Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=_OBJECT)]
"""An object of the client's own, to be checked by `checked_metadata`."""

YEARS_PATTERN = "^(19[0-9]{2}|[2-8][0-9]{3})-"
"""How a time begins whose year is one of those that are taken."""

_YEARS = range(1900, 9000)
_NUMBERS = (int, float)
_CHUNK_NUMBER = re.compile("[1-9][0-9]{0,5}")
_RESERVED = re.compile(r"\$").match
_COMPRESSIONS = frozenset({b"aws-chunked", b"br", b"compress", b"deflate", b"gzip", b"x-compress", b"x-gzip", b"zstd"})
_RELAY_SEQ = re.compile("0|[1-9][0-9]{0,5}")


def check_head(path: str, query: bytes, headers: Collection[tuple[bytes, bytes]]) -> None:
    """Refuse a request whose first lines are out of all proportion; the server itself ends one that is and does not end."""
    if len(headers) > MAX_HEADERS:
        raise HeadersTooLarge(f"a request may have {MAX_HEADERS} headers at most")
    if sum(map(len, chain.from_iterable(headers))) > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"the headers of a request may be {MAX_HEADER_BYTES} bytes together at most")
    if len(path) > MAX_PATH:
        raise UrlTooLong(f"a path may be {MAX_PATH} characters at most")
    if len(query) > MAX_QUERY_BYTES:
        raise UrlTooLong(f"a query may be {MAX_QUERY_BYTES} bytes at most")


def check_coding(told: Mapping[bytes, bytes]) -> None:
    """Refuse a body that is said to be compressed: it would be kept as it comes, and be no audio."""
    codings = told.get(b"content-encoding", b"") + b"," + told.get(b"transfer-encoding", b"")
    for coding in map(bytes.strip, codings.lower().split(b",")):
        if coding in _COMPRESSIONS:
            raise CodedBody(f"a body in {coding.decode()} is not taken: send it as it is")


def checked_metadata(metadata: Mapping[str, Any] | None, param: str = "metadata") -> dict[str, Any]:
    """Return an object of the client's own if it can be kept as it is: not too large or deep, no key that begins with `$`."""
    if not metadata:
        return {}
    if fault := _fault(metadata, 1):
        raise InvalidRequest(f"{param} {fault}", param=param)
    if len(msgspec.json.encode(metadata)) > MAX_METADATA_BYTES:
        raise InvalidRequest(f"{param} may be {MAX_METADATA_BYTES} bytes of JSON at most", param=param)
    return dict(metadata)


def checked_chunk_number(text: str) -> int:
    """Return the number that `text` is in its one plain form: no sign, space, leading zero or other script's digit."""
    if _CHUNK_NUMBER.fullmatch(text) is None:
        message = f"chunk numbers go from 1 to {MAX_CHUNK_NUMBER}, in plain digits without a leading zero"
        raise InvalidRequest(message, param="chunk_number")
    return int(text)


def checked_relay_number(text: str) -> int:
    """Return the number, from 1, of the chunk that a relaying client counts from 0, as `text` in its one plain form."""
    if _RELAY_SEQ.fullmatch(text) is None or int(text) >= MAX_CHUNK_NUMBER:
        message = f"the seq of a relayed chunk goes from 0 to {MAX_CHUNK_NUMBER - 1}, in plain digits without a leading zero"
        raise InvalidRequest(message, param="seq")
    return int(text) + 1


def checked_time(moment: datetime | None, param: str) -> datetime | None:
    """Return the time in UTC to the millisecond, which is what is kept."""
    if moment is None:
        return None
    if moment.year not in _YEARS:
        raise InvalidRequest(f"the year must be from {_YEARS.start} to {_YEARS.stop - 1}", param=param)
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _fault_inside(values: Iterable[object], depth: int) -> str | None:
    """Say what is wrong with any of the values of an object or array; what is in them is the `depth`th level."""
    for value in values:
        kind = type(value)
        if kind is str:
            continue
        fault = _fault(value, depth) if kind is dict or kind is list else _fault_of_number(value)
        if fault is not None:
            return fault
    return None


def _fault(level: Any, depth: int) -> str | None:  # noqa: ANN401 - an object or an array
    """Say what is wrong with an object or array, which is the `depth`th level, or with anything in it."""
    if depth > MAX_METADATA_DEPTH:
        return f"may be nested {MAX_METADATA_DEPTH} levels deep at most"
    if type(level) is list:
        return _fault_inside(level, depth + 1)
    return "may not hold keys that begin with $" if any(map(_RESERVED, level)) else _fault_inside(level.values(), depth + 1)


def _fault_of_number(value: object) -> str | None:
    if isinstance(value, _NUMBERS) and not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:  # JSON does not tell integers apart
        return f"holds a number that does not fit 64 bits: they go from {-MAX_INTEGER - 1} to {MAX_INTEGER}"
    return None
