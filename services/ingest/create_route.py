"""The short way of `POST /v1/recordings`: every upload begins with it, and the framework would cost as much as the rest.

Only plain requests take it: the path as it stands, no query, a length that is told and allowed, no idempotency key. Any other
goes through the framework, where `RecordingController.create` does the same, and where the route is described.
"""

from collections.abc import Awaitable
from typing import Any

from services.ingest.admission import Admission
from services.ingest.api_response import send_json
from services.ingest.bodies import CreateRecording
from services.ingest.controllers.recordings import MAY_CREATE, create_recording
from services.ingest.limits import MAX_BODY_BYTES
from services.ingest.open_recording import OpenRecording
from services.ingest.rates.limiter import Bucket
from services.ingest.refusals import client_gone
from services.ingest.request_context import context_of
from services.ingest.strict_json import decode
from services.ingest.views.recordings import new_recording_json
from shared.telemetry.health import ASGIApp

PATH = "/v1/recordings"

_FRAMEWORKS = frozenset({b"idempotency-key", b"transfer-encoding"})
_CREATED = 201


class CreateRoute:
    """Wraps the framework's application; errors pass through to the edge, which answers them as it does all others."""

    def __init__(self, app: ASGIApp, admission: Admission, open_recording: OpenRecording) -> None:
        self._app, self._admission, self._open_recording = app, admission, open_recording

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:  # noqa: ANN401 - see ASGIApp
        """Open the recording, or let the framework have the request."""
        return (self._create if _is_plain(scope) else self._app)(scope, receive, send)

    async def _create(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        scope["path_template"], scope["path_params"] = PATH, {}
        caller = await MAY_CREATE.admit(self._admission, scope, Bucket.REQUESTS)
        body = decode(await _whole(receive) or b"{}", CreateRecording)
        shown = new_recording_json(*await create_recording(context_of(scope), caller, body, self._open_recording))
        await send_json(send, _CREATED, shown)


def _is_plain(scope: Any) -> bool:  # noqa: ANN401 - see ASGIApp
    if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST" or scope["query_string"]:
        return False
    told = context_of(scope).told
    length = told.get(b"content-length", b"")
    return length.isdigit() and int(length) <= MAX_BODY_BYTES and _FRAMEWORKS.isdisjoint(told)


async def _whole(receive: Any) -> bytes:  # noqa: ANN401 - see ASGIApp
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise client_gone()
    return body
