"""What a customer's server is sent, as the `webhooks` of the document (contract A20, A21, 12.3)."""

from typing import Annotated, Any

import msgspec

from services.ingest.openapi.prose import told
from services.ingest.openapi.schemas import Schemas
from services.ingest.views.transcriptions import TranscriptionWithText
from shared.domain.wire import an_id
from shared.events.recording import RecordingEvent, RecordingUploaded
from shared.events.resources import RecordingResource, TranscriptionResource
from shared.events.topics import TOPICS, Topic


class RecordingUploadedData(RecordingResource, frozen=True, kw_only=True):
    """The recording, and what its audio is: the duration exact, `format` as a file's extension."""

    duration_seconds: float | None  # type: ignore[assignment]
    file_size_bytes: int | None
    format: str | None


class TruncatedTranscription(TranscriptionResource, frozen=True, kw_only=True):
    """A transcription whose text is too large to be pushed: the API has it."""

    truncated: bool


class WebhookEnvelope(msgspec.Struct, kw_only=True):
    """What is sent; every attempt sends the same bytes. `id` tells a repeat from news."""

    id: Annotated[str, an_id("evt")]
    type: str
    created_at: str
    data: dict[str, Any]


_HEADERS = {
    "X-Bota-Signature": ("`v1=` and the HMAC-SHA256 in hexadecimal of timestamp, `.` and body.", "^v1=[0-9a-f]{64}$"),
    "X-Bota-Timestamp": ("When this attempt was signed: Unix seconds.", "^[0-9]{10}$"),
    "X-Bota-Event-Id": ("The body's `id`.", "^evt_[A-Za-z0-9]{1,64}$"),
    "webhook-id": ("The body's `id`, as Standard Webhooks has it.", "^evt_[A-Za-z0-9]{1,64}$"),
    "webhook-timestamp": ("As above.", "^[0-9]{10}$"),
    "webhook-signature": ("`v1,` and base64; one for each valid secret, parted by spaces.", "^v1,[A-Za-z0-9+/]{43}=( v1,.+)?$"),
}


def webhooks(schemas: Schemas) -> dict[str, Any]:
    """Describe every type of event that an endpoint may hear."""
    return {name: {"post": _operation(topic, schemas)} for name, topic in sorted(TOPICS.items()) if topic.public}


def _operation(topic: Topic, schemas: Schemas) -> dict[str, Any]:
    description = told(topic.event.__doc__)
    return {
        "operationId": "on_" + topic.name.replace(".", "_"),
        "summary": description.partition("\n")[0].removesuffix("."),
        "description": description,
        "tags": ["Webhooks"],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string", "pattern": pattern},
            }
            for name, (text, pattern) in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _body(topic, schemas)}}},
        "responses": {
            "2XX": {"description": "Heard. Any other answer, or none within 30 s, is a failure and tried again."},
            "410": {"description": "The endpoint is gone: it is disabled and hears nothing more."},
        },
    }


def _body(topic: Topic, schemas: Schemas) -> dict[str, Any]:
    data = {"type": {"const": topic.name}, "data": schemas.answer(_data(topic))}
    return {"allOf": [schemas.answer(WebhookEnvelope), {"type": "object", "properties": data}]}


def _data(topic: Topic) -> Any:  # noqa: ANN401 - a Struct or a union of them
    if issubclass(topic.event, RecordingUploaded):
        return RecordingUploadedData
    if issubclass(topic.event, RecordingEvent):
        return RecordingResource
    return TranscriptionWithText | TruncatedTranscription
