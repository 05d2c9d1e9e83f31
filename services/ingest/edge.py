"""The outermost layer of the API: request ids, the one log line of each request, metrics, and answers when all else failed."""

import asyncio
import re
import time
from collections.abc import Awaitable, Mapping
from functools import lru_cache
from typing import Any

import msgspec
from prometheus_client import Counter

from services.ingest.api_response import send_json
from services.ingest.problems import envelope_of, problem_of
from services.ingest.rates.strangers import Strangers
from services.ingest.request_context import RequestContext, Standing, place
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id
from shared.domain.trace import trace_of, traced
from shared.domain.wire import REQUEST_ID
from shared.telemetry import metrics
from shared.telemetry.health import ASGIApp, Health
from shared.telemetry.logs import bind, get_logger
from shared.telemetry.timings import Timing

log = get_logger()

Headers = tuple[tuple[bytes, bytes], ...]

_WELL_FORMED = re.compile(REQUEST_ID)
_QUIET = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})  # asked all day long, logged only when they fail
_FAULT = 500
UNROUTED = "-"
"""What OPTIONS becomes on its way in: the router would answer it, and by the contract no route does (`cors.py` may)."""

_ROUTED_AS = {"HEAD": "GET", "OPTIONS": UNROUTED}
_CLIENT_GONE = 499


class _Cut(TransientFailure):
    """The service ends before the request did."""


class Edge:
    """Wraps the application; `health` is what the runner drains, `strangers` knows how each client address stands."""

    def __init__(self, app: ASGIApp, health: Health, strangers: Strangers) -> None:
        self._app, self._strangers = app, strangers
        self.health = health

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:  # noqa: ANN401 - see ASGIApp
        """Serve one request, or pass anything else through."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        return _Exchange(scope, send, self._strangers).run(self._app, receive)

    def standing_of(self, client: tuple[str, int] | None) -> Headers:
        """Return how a client's address stands, for what the server answers by itself where no request could be read."""
        return _standing_headers(self._strangers.standing({"client": client, "headers": ()}))


class _Exchange:
    """One request and its answer, as the outside saw them."""

    def __init__(self, scope: Any, send: Any, strangers: Strangers) -> None:  # noqa: ANN401 - see ASGIApp
        told = dict(reversed(scope["headers"]))
        self._context, self._trace_id = RequestContext(_request_id(told), told), trace_of(_text(told.get(b"traceparent")))
        self._forward, self._strangers = send, strangers
        self._method: str = scope["method"]
        self._path: str = scope["path"]  # the router rewrites it
        routed_as = _ROUTED_AS.get(self._method)
        self._scope = scope if routed_as is None else {**scope, "method": routed_as}
        place(self._scope, self._context)
        self._status, self._ended = 0, False
        self._began = time.perf_counter()

    async def run(self, app: ASGIApp, receive: Any) -> None:  # noqa: ANN401 - see ASGIApp
        """Let `app` answer; an error it did not answer is answered here when nothing was sent yet."""
        with traced(self._trace_id), bind(request_id=self._context.request_id):
            try:
                await app(self._scope, receive, self._send)
            except asyncio.CancelledError as cancelled:  # by the server alone, when the time to drain is over
                await self._answer_error(_Cut("the service ends").with_traceback(cancelled.__traceback__))
            except Exception as error:  # noqa: BLE001 - the last place that can answer; the line carries the stack
                await self._answer_error(error)
            finally:
                self._close()

    async def _send(self, message: Any) -> None:  # noqa: ANN401 - see ASGIApp
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = (*message["headers"], *self._headers())
        elif self._method == "HEAD":
            if self._ended:
                return  # a stream, until it notices that nobody listens
            self._ended = True
            message = {"type": message["type"], "body": b""}
        await self._forward(message)

    def _headers(self) -> Headers:
        """Return what every answer carries: its request's id, how its project or client stands, and what was asked for it."""
        standing = self._context.standing or self._strangers.standing(self._scope)
        return (
            (b"x-request-id", self._context.request_id.encode()),
            *_standing_headers(standing),
            *self._context.headers,
        )

    async def _answer_error(self, error: Exception) -> None:
        problem = problem_of(error)
        self._context.fail(problem.code, error, unexpected=problem.status >= _FAULT)
        if self._status:
            return  # half an answer is out: the server closes the connection
        body = msgspec.json.encode(envelope_of(problem, self._context.request_id))
        headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
        await send_json(self._send, problem.status, body, headers)

    def _close(self) -> None:
        seconds = time.perf_counter() - self._began
        status = self._status or _CLIENT_GONE
        route = self._scope.get("path_template") or "none"
        counted, timed = _measures(self._method, route, status)
        counted.inc()
        timed.observe(seconds)
        if route in _QUIET and status < _FAULT:
            return
        write = log.error if self._context.unexpected else log.info
        write("request.done", **self._line(status, route, seconds))

    def _line(self, status: int, route: str, seconds: float) -> dict[str, object]:
        caller, ids = self._context.caller, self._scope.get("path_params")
        line: dict[str, object] = {
            "method": self._method,
            "path": self._path,
            "route": route,
            "status": status,
            "outcome": _outcome(status),
            "duration_ms": round(seconds * 1000, 3),
        }
        if caller is not None:
            tenant = caller.tenant
            line["project_id"], line["mode"] = tenant.project_id, tenant.mode.value
            line["credential_id"] = caller.credential_id
        if ids:
            line.update(ids)
        line.update(self._context.line)
        return line


def _standing_headers(standing: Standing) -> Headers:
    return (
        (b"x-ratelimit-limit", b"%d" % standing.limit),
        (b"x-ratelimit-remaining", b"%d" % standing.remaining),
        (b"x-ratelimit-reset", b"%d" % standing.resets_at),
    )


@lru_cache(maxsize=4096)
def _measures(method: str, route: str, status: int) -> tuple[Counter, Timing]:
    return metrics.http_requests_total.labels(method, route, str(status)), metrics.http_request_seconds.labels(method, route)


def _request_id(told: Mapping[bytes, bytes]) -> str:
    """Return the request id that is wished for, or a new one."""
    wished = _text(told.get(b"x-request-id"))
    return wished if wished and _WELL_FORMED.fullmatch(wished) else new_id("req")


def _text(header: bytes | None) -> str:
    return header.decode("latin-1") if header else ""


def _outcome(status: int) -> str:
    if status >= _FAULT:
        return "error"
    return "ok" if status < 400 else "refused"  # noqa: PLR2004 - where refusals begin
