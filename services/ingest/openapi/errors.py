"""What an operation may answer when it does not succeed: what its decorator declares, and what its form implies."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter, QueryParameter

from services.ingest import refusals
from services.ingest.api_request import Requires, admin_only
from services.ingest.openapi.headers import RESPONSE_HEADERS, RETRY_AFTER
from services.ingest.openapi.prose import first_line
from services.ingest.openapi.schemas import Schemas
from services.ingest.problems import ErrorEnvelope, status_and_code
from shared.domain.errors import TransientFailure

_ANYWHERE: frozenset[type[Exception]] = frozenset({Exception, refusals.UrlTooLong, refusals.HeadersTooLarge, refusals.CodedBody})
_ASKS_TO_COME_AGAIN = frozenset({425, 429, 503})
_UNKNOWN_TO_CLIENTS = 499
_MEANINGS: dict[type[Exception], str] = {
    Exception: "The server failed; the request id helps to find out why.",
    TransientFailure: "Something this needs does not answer; the request was done whole or not at all and may be sent again.",
}


def refusals_of(handler: HTTPRouteHandler) -> frozenset[type[Exception]]:
    """Return the kinds of errors that the operation may answer.

    Implied are: those of its guard; those of an idempotency key on a POST; a wrong body or query; and, where the path names
    something, that there is no such thing (unless the decorator declares how else it says so).
    """
    declared: set[type[Exception]] = {*handler.opt.get("refuses", ())}
    implied = _of_guards(handler) | _of_method(handler) | _of_parameters(handler, declared)
    return frozenset(declared | _ANYWHERE | implied)


def _of_guards(handler: HTTPRouteHandler) -> set[type[Exception]]:
    guards = handler.resolve_guards()
    if any(isinstance(guard, Requires) for guard in guards):
        return {refusals.Unauthorized, refusals.Forbidden, refusals.RateLimitExceeded, TransientFailure}
    return {refusals.Unauthorized, refusals.RateLimitExceeded, TransientFailure} if admin_only in guards else set()


def _of_method(handler: HTTPRouteHandler) -> set[type[Exception]]:
    repeatable = "POST" in handler.http_methods
    return {refusals.InvalidRequest, refusals.IdempotencyInProgress, refusals.IdempotencyKeyReused} if repeatable else set()


def _of_parameters(handler: HTTPRouteHandler, declared: set[type[Exception]]) -> set[type[Exception]]:
    kwargs = [field.kwarg_definition for field in handler.parsed_fn_signature.parameters.values()]
    kinds = set[type[Exception]]()
    if handler.parsed_data_field is not None:
        kinds |= {refusals.InvalidRequest, refusals.PayloadTooLarge}
    if any(isinstance(kwarg, QueryParameter) for kwarg in kwargs):
        kinds |= {refusals.InvalidRequest}
    named = any(isinstance(kwarg, PathParameter) for kwarg in kwargs)
    if named and not any(status_and_code(kind)[0] == HTTPStatus.NOT_FOUND for kind in declared):
        kinds |= {refusals.NotFound}
    return kinds


def error_responses(kinds: Iterable[type[Exception]], schemas: Schemas) -> dict[str, Any]:
    """Describe the answers that the errors become, by status."""
    codes: dict[int, dict[str, str]] = {}
    for kind in kinds:
        status, code = status_and_code(kind)
        if status != _UNKNOWN_TO_CLIENTS:
            codes.setdefault(status, {})[code] = _meaning(kind)
    return {str(status): _response(status, codes[status], schemas) for status in sorted(codes)}


def _meaning(kind: type[Exception]) -> str:
    return _MEANINGS.get(kind) or first_line(kind.__doc__)


def _response(status: int, meanings: Mapping[str, str], schemas: Schemas) -> dict[str, Any]:
    lines = [f"`{code}`: {meanings[code]}" for code in sorted(meanings)]
    named = [_error_schema(code, schemas) for code in sorted(meanings)]
    headers = RESPONSE_HEADERS | ({"Retry-After": RETRY_AFTER} if status in _ASKS_TO_COME_AGAIN else {})
    if status == HTTPStatus.UNAUTHORIZED:
        headers = headers | {"WWW-Authenticate": {"$ref": "#/components/headers/WWW-Authenticate"}}
    return {
        "description": "\n".join(lines),
        "headers": headers,
        "content": {"application/json": {"schema": named[0] if len(named) == 1 else {"anyOf": named}}},
    }


def _error_schema(code: str, schemas: Schemas) -> dict[str, Any]:
    """The envelope with this code in it."""
    name = "".join(word.capitalize() for word in code.split("_")).removesuffix("Error") + "Error"
    envelope = schemas.answer(ErrorEnvelope)
    pinned = {"type": "object", "properties": {"code": {"const": code}, "type": {"const": code}}}
    return schemas.add(name, {"allOf": [envelope, {"type": "object", "properties": {"error": pinned}}]})
