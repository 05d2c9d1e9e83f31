"""The short way of `GET /v1/recordings`: whoever watches a project lists it again and again, and the framework costs as much.

Only queries in their plainest form take it. Any other goes through the framework, where `RecordingController.list_page` does the
same, and where the route is described.
"""

import re
from collections.abc import Awaitable
from typing import Any

from services.ingest.admission import Admission
from services.ingest.api_response import send_json
from services.ingest.controllers.recordings import MAY_LIST
from services.ingest.list_recordings import ListedRecording, ListRecordings, RecordingFilter
from services.ingest.paging import DEFAULT_LIMIT, Page, PageRequest
from services.ingest.rates.limiter import Bucket
from services.ingest.request_context import context_of
from services.ingest.views.recordings import listed_json
from shared.domain.recording import RecordingStatus
from shared.telemetry.health import ASGIApp

PATH = "/v1/recordings"

_FORMS = {
    "limit": re.compile("[1-9][0-9]{0,3}"),
    "offset": re.compile("0|[1-9][0-9]{0,8}"),
    "cursor": re.compile("(?!(?i:null|none)$)[A-Za-z0-9_-]+"),
    "status": re.compile("|".join(RecordingStatus)),
    "device_id": re.compile("dev_[A-Za-z0-9]+"),
    "end_user_id": re.compile("eu_[A-Za-z0-9]+"),
}
"""The parameters, and what is plainly a value of each: it means the same to every decoder."""

_FRAMEWORKS = frozenset({b"content-length", b"transfer-encoding"})
_OK = 200


class ListRoute:
    """Wraps the framework's application; errors pass through to the edge, which answers them as it does all others."""

    def __init__(self, app: ASGIApp, admission: Admission, list_recordings: ListRecordings) -> None:
        self._app, self._admission, self._list_recordings = app, admission, list_recordings
        self._shown: tuple[Page[ListedRecording] | None, bytes] = None, b""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:  # noqa: ANN401 - see ASGIApp
        """Show the page, or let the framework have the request."""
        plain = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == PATH and not _has_body(scope)
        given = _given(scope["query_string"].decode("latin-1")) if plain else None
        return self._app(scope, receive, send) if given is None else self._list(given, scope, send)

    async def _list(self, given: dict[str, str], scope: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        scope["path_template"], scope["path_params"] = PATH, {}
        caller = await MAY_LIST.admit(self._admission, scope, Bucket.REQUESTS)
        shown = self._show(await self._list_recordings(caller, _request(given), _filter(given)))
        await send_json(send, _OK, shown)

    def _show(self, page: Page[ListedRecording]) -> bytes:
        """Return the page in JSON, which is written once for all who are given the same page."""
        if self._shown[0] is not page:
            self._shown = page, listed_json(page)
        return self._shown[1]


def _has_body(scope: Any) -> bool:  # noqa: ANN401 - see ASGIApp
    return not _FRAMEWORKS.isdisjoint(context_of(scope).told)


def _given(query: str) -> dict[str, str] | None:
    """Return the parameters by name; None unless each is known, plain and there once."""
    given: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        form = _FORMS.get(name)
        if form is None or name in given or form.fullmatch(value) is None:
            return None
        given[name] = value
    return given


def _request(given: dict[str, str]) -> PageRequest:
    offset = given.get("offset")
    return PageRequest(int(given.get("limit", DEFAULT_LIMIT)), None if offset is None else int(offset), given.get("cursor"))


def _filter(given: dict[str, str]) -> RecordingFilter:
    status = given.get("status")
    return RecordingFilter(
        status=None if status is None else RecordingStatus(status),
        device_id=given.get("device_id"),
        end_user_id=given.get("end_user_id"),
    )
