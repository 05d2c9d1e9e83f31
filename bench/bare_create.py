"""The ceiling of the create benchmark: the write with its outbox, and the relay. `python -m bench.bare_create PORT`.

No framework, no key, no check, no count, no log line and no word of the recording in the answer: what stays are an HTTP server,
the drivers of MongoDB and of Kafka, and a recording with its event. Settings come from the environment, as for our services.
"""

import sys
from typing import Any

import msgspec
import uvicorn

from services.ingest.settings import IngestSettings
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode, Tenant
from shared.events.recording import RecordingCreated, recording_event
from shared.garbage import settle
from shared.platform import Platform
from shared.settings import load

TENANT = Tenant(new_id("proj"), Mode.LIVE)
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]
_HEAD = {"type": "http.response.start", "status": 201, "headers": _HEADERS}
_BODY = {"type": "http.response.body", "body": b"{}"}


class BareCreate:
    """An ASGI application."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        """Store a recording, or start and stop."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        fields = msgspec.json.decode((await receive())["body"])
        at = now()
        recording = Recording(
            id=new_id("rec"),
            project_id=TENANT.project_id,
            mode=TENANT.mode,
            status=RecordingStatus.STREAMING,
            streaming=True,
            end_user_id=fields["end_user_id"],
            name=fields["name"],
            source=fields["source"],
            metadata=fields["metadata"],
            created_at=at,
            updated_at=at,
        )
        created = recording_event(RecordingCreated, recording)
        await self._platform.recordings.add(recording, created)
        self._platform.relay.nudge("recordings", recording.id, [created])
        await send(_HEAD)
        await send(_BODY)

    async def _live(self, receive: Any, send: Any) -> None:  # noqa: ANN401 - see ASGIApp
        await receive()
        self._platform = Platform("bench", self._settings.mongo, self._settings.kafka)
        await self._platform.start()
        settle()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._platform.stop()
        await send({"type": "lifespan.shutdown.complete"})


if __name__ == "__main__":
    app = BareCreate(load(IngestSettings))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
