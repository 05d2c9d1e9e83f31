"""Query strings: each parameter at most once, and no word for nothing in place of a value."""

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from services.ingest.refusals import InvalidRequest

_NOTHING = frozenset({"null", "none"})  # what a lenient decoder takes for an absent value


def check_query(request: Request[Any, Any, Any]) -> None:
    """Raise `InvalidRequest` for a parameter of the route that stands twice, or says `null` where it is not any text."""
    text = request.scope["query_string"]
    if not text:
        return
    known, seen = _parameters(request.route_handler), set[str]()
    for name, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            continue
        if name in seen:
            raise InvalidRequest(f"{name} is given twice", param=name)
        if value.lower() in _NOTHING and not known[name]:
            raise InvalidRequest(f"{name} may be left out but not be {value}", param=name)
        seen.add(name)


@lru_cache(maxsize=1024)
def _parameters(handler: BaseRouteHandler) -> dict[str, bool]:
    """Return the query parameters of the route and of what it depends on, and of each whether it takes any text."""
    provided = handler.resolve_dependencies()
    wanted = [provided[name].parsed_fn_signature for name in handler.parsed_fn_signature.parameters if name in provided]
    return {
        getattr(field.kwarg_definition, "query", None) or name: field.annotation in {str, str | None}
        for signature in (*wanted, handler.parsed_fn_signature)
        for name, field in signature.parameters.items()
        if isinstance(field.kwarg_definition, QueryParameter)
    }
