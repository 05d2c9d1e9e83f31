"""Idempotency keys in HTTP: a request by its key, its answer kept before it is sent, and a repeat answered from what was kept."""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response

from services.ingest.api_request import ApiRequest
from services.ingest.idempotency.once import KEY_PATTERN, PARAM, Once
from services.ingest.refusals import IdempotencyKeyReused, InvalidRequest
from services.ingest.request_context import RequestContext, context_of
from shared.domain.caller import Caller
from shared.domain.kept_answer import Answer, Claim
from shared.telemetry import metrics
from shared.telemetry.health import ASGIApp

MAX_KEPT_BYTES = 4 * 1024 * 1024
LET_GO_WITHIN_S = 1.0
_HEADER = b"idempotency-key"
_KEY = re.compile(KEY_PATTERN.encode())
_OWN_OF_EACH = frozenset({b"content-length", b"date", b"connection"})
_NOT_KEPT = frozenset({401, 403, 408, 429, 499})
_FAULT = 500


async def recall(request: Request[Any, Any, Any]) -> Response[bytes] | None:
    """Run before every handler: answer a repeat, or claim a request that has a key and let it run."""
    if request.method != "POST" or not isinstance(request, ApiRequest) or not _is_known(request.context):
        return None
    keys = [value for name, value in request.scope["headers"] if name == _HEADER]
    if not keys:
        return None
    if len(keys) != 1 or _KEY.fullmatch(keys[0]) is None:
        raise InvalidRequest("an idempotency key has 1 to 255 letters, digits, - and _, and comes once", param=PARAM)
    once: Once = request.app.state.once
    streamed = request.route_handler.resolve_request_max_body_size() is None
    body = _declared(request) if streamed else await request.body()
    begun = await once.begin(_request_id(request, keys[0]), _fingerprint(request, body))
    if isinstance(begun, Answer):
        return await _replayed(request, begun)
    request.context.claim = begun
    request.context.body_hash = hashlib.sha256() if streamed else None
    return None


class KeepsAnswers:
    """Wraps the application: the answer to a claimed request is kept before its first byte goes out."""

    def __init__(self, app: ASGIApp, once: Once) -> None:
        self._app, self._once = app, once

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        """Serve one request; those without a key pass straight through."""
        if scope["type"] != "http" or scope["method"] != "POST" or _HEADER not in context_of(scope).told:
            return await self._app(scope, receive, send)
        answering = _Answering(self._once, context_of(scope), send)
        try:
            await self._app(scope, receive, answering.send)
        finally:
            await answering.close()


class _Answering:
    """One answer on its way out, held back until it is kept or known not to be."""

    def __init__(self, once: Once, context: RequestContext, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        self._once, self._context, self._forward = once, context, send
        self._start: Any = None
        self._body = bytearray()
        self._settled = False

    async def send(self, message: Any) -> None:  # noqa: ANN401 - see ASGIApp
        """Hold the message back, or pass it on when there is nothing to keep."""
        if self._context.claim is None or self._settled:
            await self._forward(message)
        elif message["type"] == "http.response.start":
            self._start = message
        else:
            self._body += message.get("body", b"")
            last = not message.get("more_body")
            if last or len(self._body) > MAX_KEPT_BYTES:
                await self._settle()
                await self._forward(self._start)
                await self._forward({**message, "body": bytes(self._body)})

    async def close(self) -> None:
        """Let go of a request that was never answered."""
        if self._context.claim is not None and not self._settled:
            await self._let_go_soon(self._context.claim)

    async def _let_go_soon(self, claim: Claim) -> None:
        """Let go of a request that failed, unless what stood in its way stands in ours: then its lease has to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LET_GO_WITHIN_S):
                await self._once.let_go(claim)

    async def _settle(self) -> None:
        claim, self._settled = self._context.claim, True
        assert claim is not None
        if self._start["status"] >= _FAULT:
            await self._let_go_soon(claim)
            return
        if not self._is_to_keep():
            await self._once.let_go(claim, nothing_done=self._context.may_pass)
            return
        headers = tuple((name, value) for name, value in self._start["headers"] if name not in _OWN_OF_EACH)
        streamed = self._context.body_hash
        answer = Answer(
            status=self._start["status"],
            headers=headers,
            body=bytes(self._body),
            request_sha256=streamed.hexdigest() if streamed else "",
        )
        await self._once.keep(claim, answer)

    def _is_to_keep(self) -> bool:
        """Say whether a repeat must meet the same answer: not when nothing was done and it may fare better."""
        status = self._start["status"]
        if status in _NOT_KEPT or self._context.may_pass or len(self._body) > MAX_KEPT_BYTES:
            return False
        return self._context.body_hash is None or self._context.body_whole


class _Replay(Response[bytes]):
    """A kept answer, sent as it was."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body, status_code=answer.status)
        self._answer = answer

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - Litestar's own
        """Return the ASGI application that answers."""
        answer = self._answer

        async def replay(_scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
            length = [] if answer.status == 204 else [(b"content-length", b"%d" % len(answer.body))]  # noqa: PLR2004
            headers = [*answer.headers, *length, (b"idempotency-replayed", b"true")]
            await send({"type": "http.response.start", "status": answer.status, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})

        return replay


async def _replayed(request: ApiRequest, answer: Answer) -> Response[bytes]:
    if answer.request_sha256:
        digest = hashlib.sha256()
        async for piece in request.stream():
            digest.update(piece)
        if digest.hexdigest() != answer.request_sha256:
            raise IdempotencyKeyReused("the key was sent with another body before: each request needs its own", param=PARAM)
    metrics.answers_replayed_total.labels(request.scope["path_template"]).inc()
    request.context.note(replayed=True)
    return _Replay(answer)


def _request_id(request: ApiRequest, key: bytes) -> str:
    """Return what names the request: whose it is, what it does, and its key; never the key itself."""
    operation = request.scope["path_template"].encode()
    return hashlib.sha256(b"\n".join((_owner(request.context.caller), operation, key))).hexdigest()


def _is_known(context: RequestContext) -> bool:
    """Say whether somebody calls whose keys can be told from others'."""
    return context.caller is not None or context.operator


def _owner(caller: Caller | None) -> bytes:
    """Return whose keys these are: a project's in one mode, an upload's own, a device's for its end user, or the operator's.

    A device that was handed to somebody else must not be answered with what it recorded for the one before.
    """
    if caller is None:
        return b"operator"
    tenant = caller.tenant
    own = "/".join(part or "" for part in (caller.device_id, caller.end_user_id, caller.recording_id))
    return f"{tenant.project_id}/{tenant.mode}/{own}".encode()


def _fingerprint(request: ApiRequest, body: bytes) -> str:
    """Return a hash of all that must be the same in a repeat: the ids in the path, the query and the body."""
    path: Mapping[str, Any] = request.scope["path_params"]
    ids = "\n".join(str(path[name]) for name in sorted(path)).encode()
    return hashlib.sha256(b"\n".join((ids, request.scope["query_string"], body))).hexdigest()


def _declared(request: ApiRequest) -> bytes:
    """Return what is known of a body before it is read."""
    return b"\n".join((request.headers.get("content-length", "").encode(), request.headers.get("content-type", "").encode()))
