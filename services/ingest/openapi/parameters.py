"""Path and query parameters, with the limits that the code itself holds them to."""

import inspect
from collections.abc import Iterator
from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from litestar.typing import FieldDefinition

from services.ingest.devices.manage import ITSELF
from services.ingest.idempotency.once import KEY_PATTERN, PARAM
from services.ingest.limits import MAX_CHUNK_NUMBER
from services.ingest.openapi.schemas import Schema, Schemas
from services.ingest.paging import MAX_LIMIT, MAX_OFFSET
from shared.domain.config.sections import SECTIONS
from shared.domain.wire import ID_CHARACTERS, id_pattern
from shared.events.topics import PUBLIC_EVENT_TYPES

_PLACES: dict[type, str] = {PathParameter: "path", QueryParameter: "query", HeaderParameter: "header"}

_SCHEMAS: dict[str, Schema] = {
    "chunk_number": {"type": "integer", "minimum": 1, "maximum": MAX_CHUNK_NUMBER},
    "command_id": {"type": "string", "pattern": id_pattern("cmd")},
    "delivery_id": {"type": "string", "pattern": id_pattern("whd")},
    "device_id": {"type": "string", "pattern": f"^({ITSELF}|dev_{ID_CHARACTERS})$"},
    "end_user_id": {"type": "string", "pattern": id_pattern("eu")},
    "endpoint_id": {"type": "string", "pattern": id_pattern("we")},
    "key_id": {"type": "string", "pattern": id_pattern("key")},
    "organization_id": {"type": "string", "pattern": id_pattern("org")},
    "project_id": {"type": "string", "pattern": id_pattern("proj")},
    "recording_id": {"type": "string", "pattern": id_pattern("rec")},
    "section": {"type": "string", "enum": sorted(SECTIONS)},
    "upload_id": {"type": "string", "pattern": f"^(rec|med)_{ID_CHARACTERS}$"},
    "transcription_id": {"type": "string", "pattern": id_pattern("txn")},
    "event_type": {"type": "string", "enum": list(PUBLIC_EVENT_TYPES)},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
    "offset": {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET},
    "cursor": {"type": "string", "maxLength": 512},
}
"""By name; a parameter that is not here is described by its annotation alone."""

_DESCRIPTIONS = {
    "limit": "How many rows a page may have.",
    "offset": "How many rows to pass over. It counts when it is given; otherwise `cursor` does.",
    "cursor": "`next_cursor` of the page before; opaque.",
    PARAM: "The same for every attempt at one request: it has its effect once, and repeats get the first answer.",
    "chunk_number": "The chunk's place, from 1.",
    "section": "A section of the configuration.",
    "project": "Of the signed URL.",
    "mode": "Of the signed URL.",
    "expires": "Of the signed URL: Unix seconds.",
    "signature": "Of the signed URL: what makes it a credential.",
}
_IDEMPOTENCY_KEY: Schema = {"type": "string", "pattern": f"^{KEY_PATTERN}$"}
_PATH_ONLY = ("device_id", "end_user_id", "organization_id", "recording_id")  # filters take any text


def parameters_of(handler: HTTPRouteHandler, schemas: Schemas) -> list[dict[str, Any]]:
    """Describe every parameter of the handler, in the order of its signature; what it depends on comes before itself."""
    found = []
    for name, parameter, field in _signature(handler):
        kwarg = None if field is None else field.kwarg_definition
        if field is None or not isinstance(kwarg, tuple(_PLACES)):
            continue
        place = _PLACES[type(kwarg)]
        shown = getattr(kwarg, place, None) or name
        schema = _schema(shown, place, field.annotation, schemas)
        if shown == "limit":
            schema["default"] = parameter.default
        required = place == "path" or parameter.default is inspect.Parameter.empty
        found.append(_described(shown, place, schema, required=required))
    if "POST" in handler.http_methods:
        found.append(_described(PARAM, "header", dict(_IDEMPOTENCY_KEY), required=False))
    return found


def _signature(handler: HTTPRouteHandler) -> Iterator[tuple[str, inspect.Parameter, FieldDefinition | None]]:
    provided = handler.resolve_dependencies()
    wanted = [provided[name] for name in inspect.signature(handler.fn).parameters if name in provided]
    sources = [
        *((provide.dependency, provide.parsed_fn_signature) for provide in wanted),
        (handler.fn, handler.parsed_fn_signature),
    ]
    for function, parsed in sources:
        for name, parameter in inspect.signature(function).parameters.items():
            yield name, parameter, parsed.parameters.get(name)


def _described(name: str, place: str, schema: Schema, *, required: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "in": place, "required": required, "schema": schema}
    if name in _DESCRIPTIONS:
        described["description"] = _DESCRIPTIONS[name]
    return described


def _schema(name: str, place: str, annotation: Any, schemas: Schemas) -> Schema:  # noqa: ANN401 - any annotation
    if name in _SCHEMAS and (place == "path" or name not in _PATH_ONLY):
        return dict(_SCHEMAS[name])
    schema = schemas.body(annotation)
    present = [alternative for alternative in schema.get("anyOf", ()) if alternative.get("type") != "null"]
    return present[0] if len(present) == 1 else schema  # a query has no null
