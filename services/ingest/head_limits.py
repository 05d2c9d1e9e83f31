"""The layer that refuses requests whose head is out of all proportion; inside of `Cors`, so that browsers can read why."""

from collections.abc import Awaitable
from typing import Any

from services.ingest.limits import check_head
from shared.telemetry.health import ASGIApp


class HeadLimits:
    """Wraps the application: what it gets has a path, a query and headers of a sane size; the edge answers the refusals."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:  # noqa: ANN401 - see ASGIApp
        """Serve one request."""
        if scope["type"] == "http":
            check_head(scope["path"], scope["query_string"], scope["headers"])
        return self._app(scope, receive, send)
