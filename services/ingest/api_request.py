"""The request as handlers see it: strictly decoded, with its caller, and guarded by scope."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import InternalServerException
from litestar.handlers import BaseRouteHandler

from services.ingest.authentication import AdminGate, Authenticate
from services.ingest.refusals import ClientGone, Unauthorized, scope_missing
from services.ingest.request_context import RequestContext, context_of
from services.ingest.strict_json import decode
from shared.domain.caller import Caller

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], Awaitable[None]]


class ApiRequest(Request[Any, Any, Any]):
    """A request whose JSON is decoded into the handler's own Struct, without coercion; an empty body counts as `{}`."""

    __slots__ = ()

    @property
    def context(self) -> RequestContext:
        """What is known of this request."""
        return context_of(self.scope)

    @property
    def caller(self) -> Caller:
        """Who calls; there once a guard has let the request in."""
        caller = self.context.caller
        if caller is None:
            raise Unauthorized("this needs a credential: Authorization: Bearer <key>")
        return caller

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes; raises `ClientGone` when it ends before its time."""
        try:
            async for piece in super().stream():
                yield piece
        except InternalServerException as error:  # the framework's word for a disconnect
            raise ClientGone("the connection was closed before the body was whole") from error

    async def body(self) -> bytes:
        """Return the whole body; routes with large bodies use `stream`."""
        return await super().body() or b"{}"

    async def json(self) -> Any:  # noqa: ANN401 - the Struct of the handler's `data`
        """Return the body as the type that the handler's `data` declares."""
        field = self.route_handler.parsed_data_field
        return decode(await self.body(), Any if field is None else field.annotation)


def requires(scope: str) -> Guard:
    """Let only callers in whose credential allows `scope`; 401 without a valid one, 403 without the scope."""

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        authenticate: Authenticate = connection.app.state.authenticate
        caller = await authenticate(_authorization(connection))
        context_of(connection.scope).caller = caller
        if not caller.may(scope):
            raise scope_missing(scope)

    return guard


async def admin_only(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Let only the operator in."""
    gate: AdminGate = connection.app.state.admin_gate
    gate.check(_authorization(connection))


def _authorization(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    for name, value in connection.scope["headers"]:
        if name == b"authorization":
            return value.decode("latin-1")
    return ""
