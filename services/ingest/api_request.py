"""The request as handlers see it: strictly decoded, with its caller, and guarded by scope."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import InternalServerException
from litestar.handlers import BaseRouteHandler

from services.ingest.admission import Admission
from services.ingest.authentication import bearer
from services.ingest.chunk_bodies import ChunkBody
from services.ingest.devices.manage import ITSELF
from services.ingest.rates.limiter import Bucket
from services.ingest.refusals import Unauthorized, client_gone, credential_missing, no_credential, not_found, scope_missing
from services.ingest.request_context import RequestContext, context_of
from services.ingest.strict_json import decode
from shared.domain.caller import Caller, CredentialKind, credential_prefix

_OPERATORS = "admin_token"


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
            raise no_credential()
        return caller

    @property
    def authorization(self) -> str:
        """The credential's header, as its guard read it."""
        return _authorization(self.scope)

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it comes, no piece of it empty; raises `ClientGone` when it ends before its time."""
        context = self.context
        try:
            async for piece in super().stream():
                if not piece:
                    continue  # the framework's last
                if context.body_hash is not None:
                    context.body_hash.update(piece)
                yield piece
            context.body_whole = True
        except InternalServerException as error:  # the framework's word for a disconnect
            raise client_gone() from error

    def chunk_body(self) -> ChunkBody | None:
        """Return the body as a chunk that has yet to come; None when its length is not announced."""
        size = self.content_length
        return None if size is None else ChunkBody(pieces=self.stream(), size_bytes=size)

    async def body(self) -> bytes:
        """Return the whole body; routes with large bodies use `stream`."""
        return await super().body() or b"{}"

    async def json(self) -> Any:  # noqa: ANN401 - the Struct of the handler's `data`
        """Return the body as the type that the handler's `data` declares."""
        field = self.route_handler.parsed_data_field
        return decode(await self.body(), Any if field is None else field.annotation)


class Requires:
    """A guard: lets in keys that allow `scope`, None: no key, and tokens of the kinds in `tokens`.

    401 without a valid credential, 403 for one that may not do this. A device's token may name no other device in the path, an
    upload's no other recording: to it they do not exist (404).
    """

    def __init__(self, scope: str | None, tokens: frozenset[CredentialKind]) -> None:
        self.scope, self.tokens = scope, tokens

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Set the request's caller, or refuse; the handler's `bucket` says what the request counts as.

        Where the handler says `operator`, what has not the form of a key has to be the operator's token: there is no caller then.
        """
        admission: Admission = connection.app.state.admission
        authorization = _authorization(connection.scope)
        if handler.opt.get("operator") and not credential_prefix(bearer(authorization)):
            admission.operator(connection.scope, authorization)
            return
        caller = await self.admit(admission, connection.scope, handler.opt.get("bucket", Bucket.REQUESTS))
        device_id = connection.path_params.get("device_id")
        if caller.device_id is not None and device_id not in {None, ITSELF, caller.device_id}:
            raise not_found("device")

    async def admit(self, admission: Admission, scope: Mapping[str, Any], bucket: Bucket) -> Caller:
        """Return the caller of a request that counts as `bucket`, or refuse it."""
        caller = await admission(scope, _authorization(scope), bucket)
        if caller.kind in self.tokens:
            return caller
        if self.scope is None:
            raise credential_missing(min(self.tokens, default=_OPERATORS))
        if not caller.may(self.scope):
            raise scope_missing(self.scope)
        return caller


def requires(scope: str, *, device: bool = False, upload: bool = False) -> Requires:
    """Return the guard of an operation: keys need `scope`; `device` and `upload` say whether those tokens may do it too."""
    kinds = {CredentialKind.DEVICE_TOKEN: device, CredentialKind.UPLOAD_TOKEN: upload}
    return Requires(scope, frozenset(kind for kind, admitted in kinds.items() if admitted))


def requires_device() -> Requires:
    """Return the guard of what a device alone does, with its token: no key may, whatever its scopes."""
    return Requires(None, frozenset({CredentialKind.DEVICE_TOKEN}))


def requires_operator() -> Requires:
    """Return the guard of what the operator alone does where keys may do the rest; the handler says `operator`, too."""
    return Requires(None, frozenset())


async def admin_only(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Let only the operator in."""
    admission: Admission = connection.app.state.admission
    admission.operator(connection.scope, _authorization(connection.scope))


def _authorization(scope: Mapping[str, Any]) -> str:
    """Return the credential's header, empty when there is none; of two nobody could say which one was meant."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    told = context_of(scope).told
    if len(told) < len(headers) and sum(name == b"authorization" for name, _ in headers) > 1:
        raise Unauthorized("the Authorization header came more than once: send one credential")
    return told.get(b"authorization", b"").decode("latin-1")
