"""The document as a whole, and its bytes."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from operator import itemgetter
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from services.ingest.limits import METADATA_VALUE
from services.ingest.openapi.headers import COMPONENTS
from services.ingest.openapi.links import link
from services.ingest.openapi.operations import operation_of
from services.ingest.openapi.schemas import Schemas
from services.ingest.openapi.security import SCHEMES
from services.ingest.openapi.webhooks import webhooks

_VERSION = "1.0.0"
_DESCRIPTION = """Recorded speech, from upload to transcript: whole files or chunks in, signed webhooks out.

Bodies are JSON of UTF-8; unknown keys are passed over, wrong types and keys given twice are refused. Times are UTC with
milliseconds; times sent need an offset. Lists come newest first. What a credential may not see looks as if it did not exist.
Every answer that is not a success is the `ErrorEnvelope`; every answer has an `X-Request-Id`."""
_TAGS = {
    "Recordings": "What was recorded.",
    "Uploads": "Whole files, past the API into the object store.",
    "Chunks": "Files in pieces, while they are being recorded.",
    "Transcriptions": "What was said.",
    "End users": "Who wears the devices.",
    "Devices": "What records.",
    "Configuration": "Settings by level; the most specific wins.",
    "Webhooks": "Where a project hears of its events, and what was sent.",
    "Admin": "What the operator does.",
    "Providers": "Where speech providers on the network send what the operator's transcriber ordered; no customer calls it.",
    "Operations": "Health, counts and this document; no credential.",
}


class Document:
    """Describes `app`; made when it is first asked for and kept, the same bytes in every replica of a release."""

    def __init__(self, app: Litestar) -> None:
        self._app = app

    @cached_property
    def content(self) -> bytes:
        """The document as JSON."""
        return msgspec.json.encode(described(self._app))


def described(app: Litestar) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of everything that `app` serves."""
    schemas = Schemas()
    schemas.add("MetadataValue", dict(METADATA_VALUE))
    paths: dict[str, dict[str, Any]] = {}
    named = set[str]()
    for path, method, handler in _routes(app):
        operation = paths.setdefault(path, {})[method] = operation_of(handler, schemas)
        while operation["operationId"] in named:  # the same method under an older path
            operation["operationId"] += "_alias"
        named.add(operation["operationId"])
    link(paths)
    used = {tag for operations in paths.values() for operation in operations.values() for tag in operation["tags"]}
    announced = webhooks(schemas)
    document = {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
        "info": {
            "title": "Earwitness",
            "version": _VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This installation."}],
        "tags": [{"name": name, "description": _TAGS[name]} for name in _ordered(used)],
        "paths": paths,
        "webhooks": announced,
        "components": {"headers": COMPONENTS, "securitySchemes": SCHEMES},
    }
    return schemas.named(document)


def _routes(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Yield path, method and handler of everything served, ordered by path and method."""
    found = [
        (route.path_format, method.lower(), handler)
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        for method in handler.http_methods - {"OPTIONS"}
    ]
    yield from sorted(found, key=itemgetter(0, 1))


def _ordered(used: Iterable[str]) -> list[str]:
    known = list(_TAGS)
    return sorted(used, key=known.index)
