"""The layer that refuses by the head: one out of proportion, a compressed body; inside of `Cors`, so browsers can read why."""

from collections.abc import Awaitable
from typing import Any

from services.ingest.limits import check_coding, check_head
from services.ingest.request_context import context_of
from shared.telemetry.health import ASGIApp


class HeadLimits:
    """Wraps the application: what it gets has a head of a sane size, and a body as it is; the edge answers the refusals."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:  # noqa: ANN401 - see ASGIApp
        """Serve one request."""
        if scope["type"] == "http":
            check_head(scope["path"], scope["query_string"], scope["headers"])
            told = context_of(scope).told
            if b"transfer-encoding" in told or (b"content-encoding" in told and told.get(b"content-length", b"0") != b"0"):
                check_coding(told)
        return self._app(scope, receive, send)
