"""A stream as an HTTP answer that goes on for as long as both sides like."""

import asyncio
from typing import Any

from services.ingest.live.follow import LiveStream
from services.ingest.request_context import RequestContext

_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # proxies of the nginx kind would keep events to themselves for a while
)


class EventStream:
    """Sends a stream's frames as they come. A client that does not read holds up its own stream, and is left by the server."""

    def __init__(self, stream: LiveStream, context: RequestContext) -> None:
        self._stream, self._context = stream, context

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        """Answer, until the stream ends or the client leaves; then give the stream's place back."""
        leaving = asyncio.create_task(self._await_leaving(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            async for frame in self._stream.frames():
                await send({"type": "http.response.body", "body": frame, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            self._stream.close()
            self._context.note(events=self._stream.told, ended=self._stream.ended)

    async def _await_leaving(self, receive: Any) -> None:  # noqa: ANN401 - see ASGIApp
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stream.leave()
