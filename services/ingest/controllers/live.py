"""`/v1/recordings/{id}/events`: what happens to a recording, as it happens."""

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.live.answer import EventStream
from services.ingest.live.follow import SCOPE, FollowRecording


class LiveController(Controller):
    """Live views."""

    path = "/v1/recordings/{recording_id:str}/events"
    tags = ("Recordings",)

    @get(
        "/",
        guards=[requires(SCOPE)],
        refuses=[refusals.NotFound, refusals.TooManyStreams],
        answers={"text/event-stream": {"schema": {"type": "object", "required": ["data"]}}},
    )
    async def follow(
        self, request: ApiRequest, recording_id: FromPath[str], follow_recording: NamedDependency[FollowRecording]
    ) -> EventStream:
        """Stream the recording's events as server-sent events, from after `Last-Event-ID`, else from the first that is kept."""
        last_event_id = request.headers.get("last-event-id")
        stream = await follow_recording(request.caller, request.authorization, recording_id, last_event_id)
        return EventStream(stream, request.context)
