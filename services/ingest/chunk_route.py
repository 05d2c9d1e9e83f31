"""The short way of a chunk's PUT: by far the most frequent request, it needs nothing of what the framework does for others.

Only requests in exactly the form that is handed out take it. Any other spelling of the same goes through the framework, where
`ChunkController.store` does the same, and where the route is described.
"""

import re
from collections.abc import Awaitable
from functools import lru_cache
from typing import Any, Self

import msgspec

from services.ingest.api_response import send_json
from services.ingest.chunk_bodies import ChunkBody
from services.ingest.controllers.chunks import SentChunk, store_chunk
from services.ingest.receive_chunk import ReceiveChunk
from services.ingest.refusals import client_gone
from services.ingest.request_context import context_of
from services.ingest.signatures import ChunkQuery
from shared.telemetry.health import ASGIApp

TEMPLATE = "/v1/recordings/{recording_id}/chunks/{chunk_number}"

_PATH = re.compile(r"/v1/recordings/(rec_[0-9A-Z]{26})/chunks/([0-9]{1,6})")
_QUERY = re.compile(rb"project=(proj_[0-9A-Z]{26})&mode=(live|test)&expires=([0-9]{1,15})&signature=([0-9a-f]{64})")
_LONGEST_QUERY = 200  # longer than any of ours


class ChunkRoute:
    """Wraps the framework's application; errors pass through to the edge, which answers them as it does all others."""

    def __init__(self, app: ASGIApp, receive_chunk: ReceiveChunk) -> None:
        self._app, self._receive_chunk = app, receive_chunk

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:  # noqa: ANN401 - see ASGIApp
        """Store the chunk, or let the framework have the request."""
        sent = _sent(scope, receive)
        return self._app(scope, receive, send) if sent is None else self._store(sent, scope, send)

    async def _store(self, sent: SentChunk, scope: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        scope["path_template"] = TEMPLATE
        scope["path_params"] = {"recording_id": sent.recording_id, "chunk_number": sent.chunk_number}
        body = msgspec.json.encode(await store_chunk(self._receive_chunk, context_of(scope), sent))
        await send_json(send, 200, body)


def _sent(scope: Any, receive: Any) -> SentChunk | None:  # noqa: ANN401 - see ASGIApp
    if scope["type"] != "http" or scope["method"] != "PUT":
        return None
    path, query = _PATH.fullmatch(scope["path"]), _query(scope["query_string"])
    if path is None or query is None:
        return None
    size = context_of(scope).told.get(b"content-length", b"")
    return SentChunk(
        recording_id=path[1],
        chunk_number=path[2],
        query=query,
        body=ChunkBody(pieces=_Pieces(receive), size_bytes=int(size)) if size.isdigit() else None,
    )


def _query(text: bytes) -> ChunkQuery | None:
    return _query_of(text) if len(text) <= _LONGEST_QUERY else None


@lru_cache(maxsize=10_000)
def _query_of(text: bytes) -> ChunkQuery | None:
    found = _QUERY.fullmatch(text)
    if found is None:
        return None
    project, mode, expires, signature = (part.decode() for part in found.groups())
    return ChunkQuery(project=project, mode=mode, expires=expires, signature=signature)


class _Pieces:
    """The pieces of a body as they come: an iterator of our own, for a loop keeps a list of all generators."""

    def __init__(self, receive: Any) -> None:  # noqa: ANN401 - see ASGIApp
        self._receive, self._more = receive, True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while self._more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise client_gone()
            self._more = message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            if piece:
                return piece
        raise StopAsyncIteration
