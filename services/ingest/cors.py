"""Cross-origin requests of browsers: refused by silence unless the installation names the origins that may read answers."""

from collections.abc import Collection
from typing import Any

from services.ingest.edge import UNROUTED
from services.ingest.request_context import context_of
from shared.telemetry.health import ASGIApp

EXPOSED = b"X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After, Idempotency-Replayed, Allow"
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS = b"Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id, Bota-Version, traceparent"
_PREFLIGHT_AGE_S = b"600"
_ANY = b"*"


class Cors:
    """Wraps the application: preflights of the named origins are answered here, their answers may be read, and nobody else's.

    `*` stands for every origin: credentials are never in cookies, so a page can only send those that it has.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        """Serve one request."""
        told = context_of(scope).told if scope["type"] == "http" else {}
        allowed = self._allowed(told.get(b"origin"))
        if allowed is None:
            return await self._app(scope, receive, send)
        if scope["method"] == UNROUTED and b"access-control-request-method" in told:
            return await _answer_preflight(send, allowed)

        granted = (*_granted(allowed), (b"access-control-expose-headers", EXPOSED))
        context_of(scope).headers = granted  # so that refusals which no route answers can be read too
        return await self._app(scope, receive, send)

    def _allowed(self, origin: bytes | None) -> bytes | None:
        if origin is None:
            return None
        if _ANY in self._origins:
            return _ANY
        return origin if origin in self._origins else None


async def _answer_preflight(send: Any, allowed: bytes) -> None:  # noqa: ANN401 - see ASGIApp
    headers = [
        *_granted(allowed),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _HEADERS),
        (b"access-control-max-age", _PREFLIGHT_AGE_S),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _granted(allowed: bytes) -> list[tuple[bytes, bytes]]:
    vary = [] if allowed == _ANY else [(b"vary", b"Origin")]
    return [(b"access-control-allow-origin", allowed), *vary]
