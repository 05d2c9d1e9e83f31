"""The verb of `POST /recordings`: a recording comes to be, with a place for its chunks when it is to be streamed."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from services.ingest.bodies import CreateRecording
from services.ingest.configuration.upload_policy import UploadPolicy
from services.ingest.limits import checked_metadata, checked_time
from services.ingest.outbox import Outbox
from services.ingest.ports import RecordingStore
from services.ingest.refusals import InvalidNow, ResourceAlreadyExists, not_found
from services.ingest.signatures import ChunkGrant, Signatures
from services.ingest.subjects import FindSubjects, Subjects
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.errors import AlreadyExists
from shared.domain.kept_answer import Claim, identified
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Tenant
from shared.events.recording import RecordingCreated, recording_event
from shared.events.resources import RecordingResource, recording_resource

_TRIES = 2


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
        self,
        recordings: RecordingStore,
        outbox: Outbox,
        find_subjects: FindSubjects,
        upload_policy: UploadPolicy,
        templates: ChunkTemplates,
    ) -> None:
        self._recordings, self._outbox, self._templates = recordings, outbox, templates
        self._find_subjects, self._upload_policy = find_subjects, upload_policy

    async def __call__(
        self, caller: Caller, body: CreateRecording, claim: Claim | None = None
    ) -> tuple[RecordingResource, ChunkTemplate | None]:
        """Store the recording with its `recording.created`, and return it as the event shows it.

        A streaming one comes with its chunk template. A recording of the same device with the same uuid and generation is the
        same one: it is returned as it stands, whatever else the body says, with a new template. The same goes for what an
        earlier run of the same claim has stored: its id follows from the claim.
        """
        try:
            subjects = await self._find_subjects(caller, body.device_id, body.end_user_id)
        except InvalidNow:  # the device may have been bound when an earlier run of the claim came
            if claim is None or (earlier := await self._recordings.get(caller.tenant, claim.new_id("rec"))) is None:
                raise
            recording, resource = _shown(caller, earlier)
        else:
            await self._upload_policy(caller.tenant, subjects.device_id)
            recording, resource = await self._stored(caller, _opened(caller.tenant, body, subjects, claim), body.end_user_id)
        return resource, self._templates.make(caller.tenant, recording.id) if recording.streaming else None

    async def _stored(self, caller: Caller, wanted: Recording, named: str | None) -> tuple[Recording, RecordingResource]:
        """Store the recording, or return the one that is there in its place, if the caller may see it.

        It is of the end user that was `named`, if one was: what is uploaded to it must not become somebody else's.
        """
        created = recording_event(RecordingCreated, wanted)
        for _ in range(_TRIES):
            try:
                await self._outbox.add(self._recordings, wanted, created)
            except AlreadyExists:
                present = await self._recordings.get(wanted.tenant, wanted.id)
                if present is None and wanted.recording_uuid is not None:
                    present = await self._recordings.twin_of(wanted)
                if present is not None:
                    return _shown(caller, present, named)
            else:
                return wanted, created.recording
        raise not_found("recording")  # an earlier run stored it, and it was deleted since


def _shown(caller: Caller, present: Recording, named: str | None = None) -> tuple[Recording, RecordingResource]:
    if not caller.sees(present):
        raise ResourceAlreadyExists("the device recorded this for an earlier end user", param="recording_uuid")
    if caller.device_id is None and named not in {None, present.end_user_id}:  # a device's token decides that by itself
        raise ResourceAlreadyExists("this was recorded for another end user", param="recording_uuid")
    return present, recording_resource(present)


def _opened(tenant: Tenant, body: CreateRecording, subjects: Subjects, claim: Claim | None) -> Recording:
    at = now()
    streaming = bool(body.streaming)
    return Recording(
        id=identified("rec", claim),
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
