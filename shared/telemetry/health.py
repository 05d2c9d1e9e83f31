"""Whether a service lives and is ready, and the small ASGI app that says so to Kubernetes and Prometheus."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from shared.domain.ids import new_id
from shared.domain.wire import REQUEST_ID
from shared.telemetry.metrics import exposition
from shared.telemetry.redaction import scrub

Check = Callable[[], Awaitable[None]]  # returns when all is well, raises what is wrong
# Frameworks describe scopes and messages with types of their own, none of which fits the others'.
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

CHECK_TIMEOUT_S = 2.0
_REASON_LIMIT = 160
_REQUEST_ID = re.compile(REQUEST_ID.encode())


class Health:
    """Knows what the service needs in order to work, and whether it is on its way out."""

    def __init__(self, checks: Mapping[str, Check], *, timeout_s: float = CHECK_TIMEOUT_S) -> None:
        self._checks = dict(checks)
        self._timeout_s = timeout_s
        self._draining = asyncio.Event()
        self._running: asyncio.Task[dict[str, str]] | None = None

    @property
    def draining(self) -> asyncio.Event:
        """Set once the service drains: long answers (event streams) end when it is."""
        return self._draining

    def set_draining(self) -> None:
        """Be unready from now on: no new work should come here."""
        self._draining.set()

    async def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Run all checks at once and return whether the service is ready, and the body that says so.

        Callers at the same moment share one run; a check that does not answer in time has failed.
        """
        if self._draining.is_set():
            return False, {"status": "draining", "checks": {}}
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run_checks(), name="readiness")
        checks = await asyncio.shield(self._running)
        ready = all(answer == "ok" for answer in checks.values()) and not self._draining.is_set()
        return ready, {"status": "ready" if ready else "unavailable", "checks": checks}

    async def _run_checks(self) -> dict[str, str]:
        answers = await asyncio.gather(*(self._run_check(check) for check in self._checks.values()))
        return dict(zip(self._checks, answers, strict=True))

    async def _run_check(self, check: Check) -> str:
        task = asyncio.create_task(_call(check))
        done, _ = await asyncio.wait({task}, timeout=self._timeout_s)
        if not done:
            task.cancel()  # and not waited for: it may sit in a driver that does not listen
            return f"no answer within {self._timeout_s:g} s"
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        return "ok" if error is None else _reason(error)


class OperationsApp:
    """Serves `/health/live`, `/health/ready` and `/metrics`; anything else is 404 in the API's error envelope."""

    def __init__(self, health: Health) -> None:
        self.health = health
        self._routes = {"/health/live": self._live, "/health/ready": self._ready, "/metrics": self._metrics}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  # see ASGIApp
        """Answer one request, or play the lifespan protocol through."""
        if scope["type"] == "lifespan":
            await _play_lifespan(receive, send)
            return
        headers = dict(reversed(scope["headers"]))  # the first of each name counts, as it does in the API
        request_id = _request_id(headers)
        route = self._routes.get(scope["path"])
        if route is None:
            answer = _error(404, "not_found", f"there is nothing at {scope['path']}", request_id)
        elif scope["method"] not in ("GET", "HEAD"):
            answer = _error(405, "method_not_allowed", f"{scope['path']} is read with GET", request_id)
        else:
            answer = await route(headers)
        await _respond(send, answer, request_id)

    async def _live(self, _headers: Mapping[bytes, bytes]) -> "_Answer":
        return _Answer(200, msgspec.json.encode({"status": "alive"}))

    async def _ready(self, _headers: Mapping[bytes, bytes]) -> "_Answer":
        ready, body = await self.health.readiness()
        return _Answer(200 if ready else 503, msgspec.json.encode(body))

    async def _metrics(self, headers: Mapping[bytes, bytes]) -> "_Answer":
        body, content_type = await exposition(headers.get(b"accept", b"").decode("latin-1"))
        return _Answer(200, body, content_type)


def operations_app(checks: Mapping[str, Check]) -> OperationsApp:
    """Return the app that a service without an API serves; `health` on it is what to drain."""
    return OperationsApp(Health(checks))


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    content_type: str = "application/json"


async def _call(check: Check) -> None:
    await check()


def _reason(error: BaseException) -> str:
    message = scrub(str(error).partition("\n")[0].encode()).decode()[:_REASON_LIMIT]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def error_body(code: str, message: str, request_id: str | None = None) -> tuple[bytes, str]:
    """Return an error in the API's envelope (contract A4) and the request id in it, minted when none is given."""
    request_id = request_id or new_id("req")
    return msgspec.json.encode({"error": {"code": code, "type": code, "message": message, "request_id": request_id}}), request_id


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """Return the request id that is wished for, or a new one."""
    wished = headers.get(b"x-request-id", b"")
    return wished.decode() if _REQUEST_ID.fullmatch(wished) else new_id("req")


def _error(status: int, code: str, message: str, request_id: str) -> _Answer:
    return _Answer(status, error_body(code, message, request_id)[0])


async def _respond(send: Any, answer: _Answer, request_id: str) -> None:  # noqa: ANN401  # see ASGIApp
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _play_lifespan(receive: Any, send: Any) -> None:  # noqa: ANN401  # see ASGIApp
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})
