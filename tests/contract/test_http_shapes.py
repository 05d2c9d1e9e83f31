"""What the API answers, held against the contract by an independent description: strict keys, types, ids and times."""

import json
import re
from typing import Annotated, Any, Literal

import msgspec
import pytest

from shared.domain.delivery import Attempt as KeptAttempt
from shared.domain.delivery import DeliveryStatus
from shared.domain.media import Media as StoredMedia
from shared.domain.media import MediaStatus, MediaType
from shared.domain.recording import RecordingStatus
from shared.domain.transcript import Segment, Word, transcript_of
from tests.fakes.ingest import Api, fake_stores

Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")]
ULID = "_[0-9A-HJKMNP-TV-Z]{26}$"
RecordingId = Annotated[str, msgspec.Meta(pattern="^rec" + ULID)]
MediaId = Annotated[str, msgspec.Meta(pattern="^med" + ULID)]
TranscriptionId = Annotated[str, msgspec.Meta(pattern="^txn" + ULID)]
EndpointId = Annotated[str, msgspec.Meta(pattern="^we" + ULID)]
ProjectId = Annotated[str, msgspec.Meta(pattern="^proj" + ULID)]
RequestId = Annotated[str, msgspec.Meta(pattern="^req" + ULID)]


class Strict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every field named, no other there."""


class Media(Strict):
    id: MediaId
    type: Literal["audio", "image", "video"]
    mime_type: str
    file_size_bytes: int | None
    status: Literal["pending", "uploaded"]
    captured_at: Time | None
    created_at: Time


class Stitching(Strict):
    status: Literal["queued", "running", "completed", "failed"]
    job_id: Annotated[str, msgspec.Meta(pattern="^job_stitcher" + ULID)]


class Recording(Strict):
    id: RecordingId
    project_id: ProjectId
    device_id: str | None
    end_user_id: str | None
    name: str | None
    status: Literal["pending", "streaming", "uploaded", "processing", "completed", "failed", "integrity_failure"]
    source: Literal["device", "app_import", "api_upload"] | None
    upload_method: str | None
    recording_uuid: str | None
    recording_generation: int | None
    encryption_version: None
    duration_ms: int | None
    duration_seconds: int | None
    started_at: Time | None
    ended_at: Time | None
    recorded_at: Time | None
    transcription_id: TranscriptionId | None
    media: list[Media]
    mime_type: str | None
    file_size_bytes: int | None
    metadata: dict[str, Any]
    stitching: Stitching | None
    error: dict[str, Any] | None
    content_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None
    content_sha256_verified_at: Time | None
    uploaded_at: Time | None
    created_at: Time
    updated_at: Time
    deleted_at: None


class NewStreamingRecording(Recording):
    chunk_upload_url_template: Annotated[str, msgspec.Meta(pattern=r"^https?://[^{}]*\{chunk_number\}[^{}]*$")]
    chunk_upload_expires_at: Time


class UploadUrl(Strict):
    media_id: MediaId
    upload_url: str
    content_type: str
    headers: dict[str, str]
    expires_at: Time
    expires_in: int
    upload_token: Annotated[str, msgspec.Meta(pattern=r"^up_[A-Za-z0-9]{40}$")]


class Finalized(Strict):
    id: RecordingId
    status: Literal["uploaded", "stitching", "failed"]
    transcription_status: Literal["queued", "processing", "completed", "failed"]
    chunks_received: int
    stitching_job_id: Annotated[str, msgspec.Meta(pattern="^job_stitcher" + ULID)]


class SpokenWord(Strict):
    word: str
    start: float
    end: float
    confidence: float | None


class SpokenSegment(Strict):
    start: float
    end: float
    text: str
    confidence: float | None
    words: list[SpokenWord]


class Progress(Strict):
    percent: Annotated[int, msgspec.Meta(ge=0, le=100)]
    stage: str
    estimated_completion_at: Time | None


class Transcription(Strict):
    id: TranscriptionId
    project_id: ProjectId
    recording_id: RecordingId
    status: Literal["pending", "processing", "completed", "failed"]
    language: str | None
    provider: Literal["whisper", "deepgram", "assemblyai", "elevenlabs"]
    diarization: bool
    num_speakers: int | None
    multichannel: bool
    redact: list[Literal["numbers", "profanity"]]
    duration_ms: int | None
    word_count: int | None
    speaker_count: int | None
    confidence: float | None
    progress: Progress | None
    segments: list[SpokenSegment] | None
    queue_position: int | None
    estimated_start_at: Time | None
    text: str | None
    full_text: str | None
    error: dict[str, Any] | None
    error_message: str | None
    created_at: Time
    updated_at: Time
    started_at: Time | None
    completed_at: Time | None
    deleted_at: None


class Endpoint(Strict):
    id: EndpointId
    url: str
    events: list[str]
    description: str | None
    status: Literal["enabled", "disabled"]
    disabled_reason: Literal["gone", "failing", "requested"] | None
    disabled_at: Time | None
    failing_since: Time | None
    metadata: dict[str, Any]
    created_at: Time
    updated_at: Time


class NewEndpoint(Endpoint):
    secret: Annotated[str, msgspec.Meta(pattern="^whsec_[A-Za-z0-9+/]{43}=$")]


class Attempt(Strict):
    number: int
    attempted_at: Time
    duration_ms: int
    status_code: int | None
    error: str | None
    response: str
    manual: bool


class DeliveryLine(Strict):
    id: Annotated[str, msgspec.Meta(pattern="^whd" + ULID)]
    event_id: Annotated[str, msgspec.Meta(pattern="^evt" + ULID)]
    event_type: str
    endpoint_id: EndpointId
    recording_id: RecordingId
    status: Literal["pending", "testing", "succeeded", "failed", "cancelled"]
    test: bool
    attempts_made: int
    next_attempt_at: Time | None
    last_attempt: Attempt | None
    created_at: Time
    updated_at: Time


class Delivery(DeliveryLine):
    attempts: list[Attempt]
    body: str | None


class Definition(Strict):
    description: str
    merge_strategy: Literal["merge_deep"]


class Config(Strict):
    value: dict[str, Any]
    source: Literal["default", "project"]
    definition: Definition


class Error(Strict):
    code: Annotated[str, msgspec.Meta(pattern="^[a-z_]+$")]
    type: str
    message: str
    request_id: RequestId
    param: str | msgspec.UnsetType = msgspec.UNSET
    details: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Envelope(Strict):
    error: Error


def strictly(response, form, status):
    """Decode an answer as existing clients do: exact status, plain JSON, unique keys, every field of its type."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert "content-encoding" not in response.headers

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    json.loads(response.content, object_pairs_hook=unique, parse_constant=pytest.fail)
    return msgspec.json.decode(response.content, type=form)


def page_of(form):
    return msgspec.defstruct(
        "Page", [("data", list[form]), ("has_more", bool), ("next_cursor", str | None)], forbid_unknown_fields=True
    )


@pytest.fixture
async def api():
    """The API over fakes."""
    api = await Api(fake_stores()).open()
    yield api
    await api.client.aclose()


async def test_the_first_generations_example_of_a_streamed_recording(api):
    device, someone = await api.new_device(), await api.someone()
    created = await api.call("POST", "/recordings", {"device_id": device, "end_user_id": someone, "streaming": True})
    recording = strictly(created, NewStreamingRecording, 201)
    for number in range(1, 13):
        url = recording.chunk_upload_url_template.replace("{chunk_number}", str(number))
        assert (await api.client.put(url, content=b"opus", headers={"Content-Type": "audio/opus"})).is_success
    body = {"total_chunks": 12, "final_duration_ms": 3_595_420, "checksum_md5": "d41d8cd98f00b204e9800998ecf8427e"}
    finalized = strictly(await api.call("POST", f"/recordings/{recording.id}/finalize", body), Finalized, 200)
    assert (finalized.status, finalized.transcription_status, finalized.chunks_received) == ("uploaded", "queued", 12)
    shown = strictly(await api.call("GET", f"/recordings/{recording.id}"), Recording, 200)
    assert (shown.duration_ms, shown.stitching.status) == (3_595_420, "queued")


@pytest.mark.parametrize(
    "body",
    [
        {"total_chunks": 2, "final_duration_ms": 1000, "final_file_size_bytes": 8},
        {"total_chunks": 2, "duration_ms": 1000, "file_size_bytes": 8},
    ],
)
async def test_finalize_as_the_published_sdks_send_it(api, body):
    recording = await api.streamed(2)
    strictly(await api.call("POST", f"/recordings/{recording['id']}/finalize", body), Finalized, 200)


async def test_the_newest_clients_upload_and_transcription(api):
    created = {"end_user_id": await api.someone(), "name": "call.wav", "source": "api_upload", "upload_method": "import"}
    recording = strictly(await api.call("POST", "/recordings", created), Recording, 201)
    asked = {"content_type": "audio/wav", "file_size_bytes": 48}
    offer = strictly(await api.call("POST", f"/recordings/{recording.id}/upload-url", asked), UploadUrl, 200)
    assert offer.headers["Content-Type"] == offer.content_type
    media = api.stores.recordings.documents[recording.id].media[0]
    api.stores.objects.objects[media.object_key] = b"RIFF\x28\x00\x00\x00WAVE" + bytes(36)
    hashed = "a5a5"
    completed = await api.call("POST", f"/recordings/{recording.id}/upload-complete", {"content_sha256": hashed})
    assert strictly(completed, Envelope, 400).error.param == "content_sha256"
    uploaded = strictly(await api.call("POST", f"/recordings/{recording.id}/upload-complete"), Recording, 200)
    assert [item.status for item in uploaded.media] == ["uploaded"]
    started = await api.call("POST", "/transcriptions", {"recording_id": recording.id, "language": "en", "provider": "whisper"})
    transcription = strictly(started, Transcription, 201)
    strictly(await api.call("GET", f"/transcriptions/{transcription.id}"), Transcription, 200)
    strictly(await api.call("GET", "/recordings?limit=20"), page_of(Recording), 200)


async def test_a_completed_transcription(api):
    recording = await api.recording()
    document = api.stores.recordings.documents[recording["id"]]
    from_here = msgspec.structs.replace
    audio = {"id": "med_1", "type": MediaType.AUDIO, "content_type": "audio/wav", "object_key": "k"}
    media = StoredMedia(**audio, status=MediaStatus.UPLOADED, created_at=document.created_at)
    api.stores.recordings.documents[recording["id"]] = from_here(document, status=RecordingStatus.UPLOADED, media=(media,))
    started = strictly(await api.call("POST", f"/recordings/{recording['id']}/transcribe"), Transcription, 201)
    said = Segment(start=0.0, end=1.0, text="Hi", confidence=0.5, words=(Word(word="Hi", start=0.0, end=1.0, confidence=0.5),))
    stored = api.stores.transcriptions.documents[started.id]
    transcript = transcript_of([said], language="en", duration_ms=1000)
    api.stores.transcripts.kept[stored.tenant, stored.id] = transcript
    done = {"status": type(stored.status).COMPLETED, "active": False, "completed_at": stored.created_at, "language": "en"}
    api.stores.transcriptions.documents[started.id] = from_here(stored, **done)
    shown = strictly(await api.call("GET", f"/transcriptions/{started.id}"), Transcription, 200)
    assert shown.text == shown.full_text == "Hi"


async def test_webhook_deliveries(api):
    body = {"url": "https://customer.example/hook", "events": ["*"]}
    endpoint = strictly(await api.call("POST", "/webhook-endpoints", body), NewEndpoint, 201)
    path = f"/webhook-endpoints/{endpoint.id}"
    strictly(await api.call("PATCH", path, {"status": "disabled"}), Endpoint, 200)
    strictly(await api.call("POST", f"{path}/rotate-secret"), NewEndpoint, 200)
    api.stores.deliveries.on_new = lambda new: api.stores.deliveries.rows.update({new.id: answered(new)})
    delivery = strictly(await api.call("POST", f"{path}/test"), Delivery, 200)
    strictly(await api.call("GET", f"{path}/deliveries"), page_of(DeliveryLine), 200)
    strictly(await api.call("GET", f"/webhook-deliveries/{delivery.id}"), Delivery, 200)
    strictly(await api.call("POST", f"/webhook-deliveries/{delivery.id}/replay"), Delivery, 202)


def answered(delivery):
    attempt = KeptAttempt(number=1, at=delivery.created_at, duration_ms=3, status_code=200, manual=True)
    return delivery.attempted(attempt, DeliveryStatus.SUCCEEDED, None)


async def test_webhook_endpoints_and_configuration(api):
    body = {"url": "https://customer.example/hook", "events": ["*"], "description": "d", "metadata": {}}
    endpoint = strictly(await api.call("POST", "/webhook-endpoints", body), NewEndpoint, 201)
    strictly(await api.call("GET", f"/webhook-endpoints/{endpoint.id}"), Endpoint, 200)
    strictly(await api.call("GET", "/webhook-endpoints"), page_of(Endpoint), 200)
    deleted = await api.call("DELETE", f"/webhook-endpoints/{endpoint.id}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    processing = {"auto_transcription": {"enabled": True, "provider": "whisper"}}
    config = await api.call("PUT", f"/projects/{api.project_id}/config/processing", processing)
    assert strictly(config, Config, 200).value["auto_transcription"]["enabled"] is True


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/recordings/rec_none", None, 404),
        ("POST", "/recordings", {}, 400),
        ("POST", "/recordings", b"{", 400),
        ("PATCH", "/recordings", None, 405),
        ("GET", "/nothing", None, 404),
        ("POST", "/recordings/rec_none/finalize", {"total_chunks": 1, "duration_ms": 1}, 404),
    ],
)
async def test_every_error_is_the_envelope(api, method, path, body, status):
    error = strictly(await api.call(method, path, body), Envelope, status).error
    assert error.code == error.type
    assert re.search(r"\w", error.message)
