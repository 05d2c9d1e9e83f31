"""The body of a webhook: `{id, type, created_at, data}`, made once and then sent byte for byte (contract A20, A21, 12.3)."""

from typing import Any

import msgspec

from shared.domain.clock import wire_time
from shared.domain.media import CONTENT_TYPES, MediaStatus, main_file
from shared.domain.transcript import Transcript
from shared.events.event import Event
from shared.events.recording import RecordingEvent, RecordingUploaded
from shared.events.resources import RecordingResource
from shared.events.transcription import TranscriptionCompleted, TranscriptionEvent

TRANSCRIPT_LIMIT_BYTES = 256 * 1024

_EXTENSIONS = {mime_type: extension for kinds in CONTENT_TYPES.values() for mime_type, extension in kinds.items()}


def body_of(event: Event, transcript: Transcript | None) -> bytes:
    """Return the body that tells of `event`; `transcript` is that of a completed transcription, None when it is gone."""
    envelope = {"id": event.event_id, "type": event.type, "created_at": wire_time(event.occurred_at)}
    return msgspec.json.encode(envelope | {"data": _data(event, transcript)})


def _data(event: Event, transcript: Transcript | None) -> dict[str, Any]:
    if isinstance(event, RecordingEvent):
        uploaded = _upload_facts(event.recording) if isinstance(event, RecordingUploaded) else {}
        return _fields(event.recording) | uploaded
    if isinstance(event, TranscriptionEvent):
        text = _text(transcript) if isinstance(event, TranscriptionCompleted) else _text_fields(None, None)
        return _fields(event.transcription) | text
    raise TypeError(f"{event.type} is not for customers")


def _fields(resource: msgspec.Struct) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(resource)
    return fields


def _upload_facts(recording: RecordingResource) -> dict[str, Any]:
    """What section 12.3 has beside the resource; the duration is exact here, where the resource rounds it."""
    stored = [media for media in recording.media if media.status == MediaStatus.UPLOADED]
    main = main_file(stored) if stored else None
    return {
        "duration_seconds": None if recording.duration_ms is None else recording.duration_ms / 1000,
        "file_size_bytes": main and main.file_size_bytes,
        "format": main and _EXTENSIONS.get(main.mime_type),
    }


def _text(transcript: Transcript | None) -> dict[str, Any]:
    """Return the text fields, or `truncated` when they are too large to be pushed: the API has them."""
    if transcript is None:
        return {"truncated": True}
    fields = _text_fields(transcript.text, transcript)
    return {"truncated": True} if len(msgspec.json.encode(fields)) > TRANSCRIPT_LIMIT_BYTES else fields


def _text_fields(text: str | None, transcript: Transcript | None) -> dict[str, Any]:
    return {"text": text, "full_text": text, "segments": transcript and transcript.segments}
