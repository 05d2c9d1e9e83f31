"""Holds every answer of the test run to the API's own description: the one place through which the tests' clients go."""

import functools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs

from services.ingest.http import UseCases, http_app
from services.ingest.openapi.document import described
from shared.domain.wire import TIME_PATTERN

ALWAYS = ("X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
UNROUTED = frozenset({400, 404, 405, 413, 414, 429, 431, 500})

_PARAMETER = re.compile(r"\\{[a-z_]+\\}")
_METHODS = ("get", "put", "post", "patch", "delete")


@functools.cache
def document() -> dict[str, Any]:
    """The description of all that is served."""
    return described(http_app(UseCases(**dict.fromkeys(UseCases.__struct_fields__))))


@dataclass(frozen=True)
class Exchange:
    """A request and what was answered to it."""

    method: str
    url: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes | None  # None: a stream, which is not read here

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


def check(exchange: Exchange) -> None:
    """Fail unless the answer is one that the description declares for its operation.

    A route that answers what it does not declare says so in its decorator: `refuses=[…]`, `also={status: Struct}`, `answers=…`.
    """
    told = f"{exchange.method} {exchange.path} -> {exchange.status} {(exchange.body or b'')[:2000]!r}"
    _check_headers(document()["components"]["headers"], ALWAYS, exchange, told)
    assert not exchange.header("content-encoding"), told
    assert all(kind.lower().count("charset=") <= 1 for kind in exchange.header("content-type")), told
    value = _json(exchange, told)
    operation = operation_of(exchange.method, exchange.path)
    if operation is not None:
        _check_declared(operation, exchange, value, told)
    elif exchange.method != "OPTIONS":
        assert exchange.status in UNROUTED, told
        if exchange.method != "HEAD":
            _check_schema({"$ref": "#/components/schemas/ErrorEnvelope"}, value, told)
    if exchange.status >= 400 and isinstance(value, dict) and "error" in value:
        assert value["error"]["code"] == value["error"]["type"], told
        if not exchange.header("idempotency-replayed"):  # that is the answer to an earlier request
            assert value["error"]["request_id"] == exchange.header("x-request-id")[0], told


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """Return the operation that serves this, if any does; HEAD is served as GET is."""
    served_as = "get" if method == "HEAD" else method.lower()
    for pattern, template in _templates():
        if pattern.fullmatch(path.rstrip("/") or "/") and served_as in document()["paths"][template]:
            return document()["paths"][template][served_as]
    return None


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path template and description of every operation."""
    paths = document()["paths"].items()
    return [(method.upper(), path, found[method]) for path, found in paths for method in _METHODS if method in found]


@functools.cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """Every path as a pattern; one without parameters comes before one that would take it in."""
    templates = sorted(document()["paths"], key=lambda path: [part.startswith("{") for part in path.split("/")])
    return [(re.compile(_PARAMETER.sub("[^/]+", re.escape(template))), template) for template in templates]


def _json(exchange: Exchange, told: str) -> Any:
    """Return the JSON that was answered: no key twice, no NaN, times in their one form."""
    kinds = exchange.header("content-type")
    if exchange.body is None or not exchange.body or kinds[0].split(";")[0] != "application/json":
        return None
    assert kinds == ["application/json"], told
    return json.loads(exchange.body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), f"a key twice in {pairs}"
    for key, value in pairs:
        if key.endswith("_at") and isinstance(value, str):
            assert re.search(TIME_PATTERN, value), f"{key}: {value} is no time"
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def _check_declared(operation: dict[str, Any], exchange: Exchange, value: Any, told: str) -> None:
    named = operation["operationId"]
    declared = operation["responses"].get(str(exchange.status))
    assert declared is not None, f"{named} does not declare {told}"
    _check_headers(document()["components"]["headers"], declared["headers"], exchange, told)
    content = declared.get("content")
    if content is None or exchange.method == "HEAD":
        assert not exchange.body, told
        return
    (kind,) = exchange.header("content-type")
    media = content.get(kind.split(";")[0]) or content.get("*/*")
    assert media is not None, f"{named} does not declare {kind}: {told}"
    if kind == "application/json":
        _check_schema(media["schema"], value, told)


def _check_headers(headers: dict[str, Any], wanted: Iterable[str], exchange: Exchange, told: str) -> None:
    for name in wanted:
        found, schema = exchange.header(name), headers[name]["schema"]
        assert len(found) == 1 or not (found or headers[name].get("required")), f"{name}: {found}: {told}"
        for text in found:
            value = int(text) if schema.get("type") == "integer" else text
            assert _validator(json.dumps(schema)).is_valid(value), f"{name}: {text}: {told}"


def _check_schema(schema: dict[str, Any], value: Any, told: str) -> None:
    faults = [f"{fault.instance_path}: {fault.message}" for fault in _validator(json.dumps(schema)).iter_errors(value)]
    assert not faults, f"{faults}: {told}"


@functools.cache
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"allOf": [json.loads(schema)], "components": _closed()}, validate_formats=True)


@functools.cache
def _closed() -> dict[str, Any]:
    """The components, each object with no property but those it names."""
    schemas = document()["components"]["schemas"]
    closed = {
        name: schema | ({"additionalProperties": False} if "properties" in schema else {}) for name, schema in schemas.items()
    }
    return {"schemas": closed}
