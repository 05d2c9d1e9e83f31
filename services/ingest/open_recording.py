"""The verb of `POST /recordings`: a recording comes to be, with a place for its chunks when it is to be streamed."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from services.ingest.bodies import CreateRecording
from services.ingest.limits import checked_metadata, checked_time
from services.ingest.outbox import Outbox
from services.ingest.ports import RecordingStore
from services.ingest.signatures import ChunkGrant, Signatures
from services.ingest.subjects import FindSubjects, Subjects
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Tenant
from shared.events.recording import RecordingCreated, recording_event
from shared.events.resources import RecordingResource


class ChunkTemplate(msgspec.Struct, frozen=True):
    """Where to PUT chunks: `{chunk_number}` in the URL stands for the number, from 1."""

    url: str
    expires_at: datetime


class ChunkTemplates:
    """Makes chunk URL templates; their credential is in the URL, so a PUT needs no header."""

    def __init__(self, signatures: Signatures, public_url: str, ttl_s: int, clock: Callable[[], float] = time.time) -> None:
        self._signatures, self._base, self._ttl_s, self._clock = signatures, public_url.rstrip("/"), ttl_s, clock

    def make(self, tenant: Tenant, recording_id: str) -> ChunkTemplate:
        """Return the template for one recording."""
        expires = int(self._clock()) + self._ttl_s
        query = self._signatures.chunk_query(ChunkGrant(tenant=tenant, recording_id=recording_id, expires=expires))
        url = f"{self._base}/v1/recordings/{recording_id}/chunks/{{chunk_number}}?{query}"
        return ChunkTemplate(url, datetime.fromtimestamp(expires, UTC))


class OpenRecording:
    """Creates recordings."""

    def __init__(
        self, recordings: RecordingStore, outbox: Outbox, find_subjects: FindSubjects, templates: ChunkTemplates
    ) -> None:
        self._recordings, self._outbox, self._find_subjects, self._templates = recordings, outbox, find_subjects, templates

    async def __call__(self, caller: Caller, body: CreateRecording) -> tuple[RecordingResource, ChunkTemplate | None]:
        """Store the recording with its `recording.created`, and return it as the event shows it.

        A streaming one comes with its chunk template.
        """
        subjects = await self._find_subjects(caller, body.device_id, body.end_user_id)
        recording = _opened(caller.tenant, body, subjects)
        created = recording_event(RecordingCreated, recording)
        await self._outbox.add(self._recordings, recording, created)
        return created.recording, self._templates.make(caller.tenant, recording.id) if recording.streaming else None


def _opened(tenant: Tenant, body: CreateRecording, subjects: Subjects) -> Recording:
    at = now()
    streaming = bool(body.streaming)
    return Recording(
        id=new_id("rec"),
        project_id=tenant.project_id,
        mode=tenant.mode,
        status=RecordingStatus.STREAMING if streaming else RecordingStatus.PENDING,
        streaming=streaming,
        device_id=subjects.device_id,
        end_user_id=subjects.end_user_id,
        name=body.name,
        started_at=checked_time(body.started_at, "started_at"),
        ended_at=checked_time(body.ended_at, "ended_at"),
        recorded_at=checked_time(body.recorded_at, "recorded_at"),
        source=body.source,
        upload_method=body.upload_method,
        recording_uuid=body.recording_uuid,
        recording_generation=body.recording_generation,
        metadata=checked_metadata(body.metadata),
        created_at=at,
        updated_at=at,
    )
