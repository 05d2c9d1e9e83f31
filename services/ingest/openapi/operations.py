"""One route as an OpenAPI operation."""

import inspect
import re
from http import HTTPStatus
from typing import Any, get_args, get_origin

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from services.ingest.openapi.errors import error_responses, refusals_of
from services.ingest.openapi.headers import REPLAYED, RESPONSE_HEADERS
from services.ingest.openapi.parameters import parameters_of
from services.ingest.openapi.prose import told
from services.ingest.openapi.schemas import Schema, Schemas
from services.ingest.openapi.security import security_of

OPTIONS = frozenset({"refuses", "takes", "answers", "also", "credential", "bucket", "resource", "operator"})
"""What a route may say of itself beside its signature.

`refuses`: the errors it may answer beside those that its form implies. `takes`: the media type of a raw body. `answers`: media
types with their schemas, where the answer is not JSON of the annotation. `also`: other statuses of success, with the Struct of
each. `credential`: what lets a request in when no guard does. `bucket`: the rate limit it counts against beside that of all
requests. `resource`: what the operation is named after, where its controller inherits it.
`operator`: the operator may do it, too.
"""

_RAW: Schema = {}  # in OpenAPI 3.1 the schema of bytes


def operation_of(handler: HTTPRouteHandler, schemas: Schemas) -> dict[str, Any]:
    """Describe the route."""
    if unknown := set(handler.opt) - OPTIONS:
        raise TypeError(f"{handler} says {sorted(unknown)} of itself, which nobody reads")
    summary, description = _texts(handler)
    operation: dict[str, Any] = {
        "operationId": _operation_id(handler),
        "summary": summary,
        "description": description,
        "tags": sorted(handler.tags or getattr(handler.owner, "tags", None) or ()),
        **security_of(handler),
    }
    if parameters := parameters_of(handler, schemas):
        operation["parameters"] = parameters
    if body := _request_body(handler, schemas):
        operation["requestBody"] = body
    responses = error_responses(refusals_of(handler), schemas) | _successes(handler, schemas)
    for response in responses.values() if "POST" in handler.http_methods else ():
        response["headers"] |= REPLAYED
    operation["responses"] = dict(sorted(responses.items()))
    return operation


def _operation_id(handler: HTTPRouteHandler) -> str:
    """Name the operation by its controller and its method: `recording_create`."""
    controller, _, method = handler.fn.__qualname__.rpartition(".")
    named = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", controller.removesuffix("Controller")).lower()
    resource = handler.opt.get("resource", named)
    return f"{resource}_{method.removesuffix('_page')}"


def _texts(handler: HTTPRouteHandler) -> tuple[str, str]:
    description = told(handler.fn.__doc__)
    return description.partition("\n")[0].removesuffix("."), description


def _request_body(handler: HTTPRouteHandler, schemas: Schemas) -> dict[str, Any] | None:
    if takes := handler.opt.get("takes"):
        return {"required": True, "content": {takes: {"schema": _RAW}}}
    field = handler.parsed_data_field
    if field is None:
        return None
    required = any(parameter.default is inspect.Parameter.empty for parameter in _fields(field.annotation))
    return {"required": required, "content": {"application/json": {"schema": schemas.body(field.annotation)}}}


def _fields(form: Any) -> list[inspect.Parameter]:  # noqa: ANN401 - a Struct or a dict
    return list(inspect.signature(form).parameters.values()) if hasattr(form, "__struct_fields__") else []


def _successes(handler: HTTPRouteHandler, schemas: Schemas) -> dict[str, Any]:
    answers = handler.opt.get("answers")
    content = answers or _json(handler.parsed_return_field.annotation, schemas)
    found = {str(handler.status_code): _response(int(handler.status_code), content)}
    for status, form in handler.opt.get("also", {}).items():
        found[str(status)] = _response(status, _json(form, schemas))
    return found


def _json(annotation: Any, schemas: Schemas) -> dict[str, Any]:  # noqa: ANN401 - any annotation
    if get_origin(annotation) is Response:
        (annotation,) = get_args(annotation)
    if annotation in {None, type(None)}:
        return {}
    return {"application/json": {"schema": schemas.answer(annotation)}}


def _response(status: int, content: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": dict(RESPONSE_HEADERS)}
    return response | ({"content": content} if content else {})
