"""How a recording follows its transcription: what a fact about the one makes of the other."""

from collections.abc import Iterable
from typing import Any

import msgspec

from shared.domain.errors import FailureReason
from shared.domain.job import Failure
from shared.domain.recording import TRANSCRIBABLE, Recording, RecordingStatus
from shared.domain.transition import TransitionRefused
from shared.events.transcription import TranscriptionCompleted, TranscriptionEvent, TranscriptionFailed, TranscriptionStarted


def in_line(recording: Recording, events: Iterable[TranscriptionEvent], refused: dict[str, TransitionRefused]) -> Recording:
    """Return the recording in line with what of the events told of it is its tenant's and new to it; note which it refuses."""
    for event in events:
        if event.tenant == recording.tenant and _is_news(recording, event):
            try:
                recording = _reflected(recording, event)
            except TransitionRefused as refusal:
                refused[event.event_id] = refusal
    return recording


def _is_news(recording: Recording, event: TranscriptionEvent) -> bool:
    shown = (recording.transcription_id or "", recording.transcription_version)
    return recording.deleted_at is None and (event.transcription_id, event.version) > shown


def _reflected(recording: Recording, event: TranscriptionEvent) -> Recording:
    fields: dict[str, Any] = {"transcription_id": event.transcription_id, "transcription_version": event.version}
    if isinstance(event, TranscriptionStarted):
        fields["status"] = RecordingStatus.PROCESSING
    elif isinstance(event, TranscriptionCompleted):
        recording, fields["status"] = _under_way(recording), RecordingStatus.COMPLETED
    elif isinstance(event, TranscriptionFailed):
        error = event.transcription.error
        if error is not None and error.code == FailureReason.CANCELLED:
            return recording.changed(**fields, **_as_before(recording))
        recording, fields["status"] = _under_way(recording), RecordingStatus.FAILED
        fields["failure"] = error and Failure(reason=FailureReason(error.code), message=error.message)
    return recording.changed(**fields)


def _under_way(recording: Recording) -> Recording:
    """Return the recording as it was told that its transcription began: what ended has begun, even when that is told later.

    Whoever began it may have died before it could tell, and another may have ended it.
    """
    if recording.status not in TRANSCRIBABLE:
        return recording
    return msgspec.structs.replace(recording, status=RecordingStatus.PROCESSING)


def _as_before(recording: Recording) -> dict[str, Any]:
    """Return what takes the recording back to where a transcription may be started."""
    return {"status": RecordingStatus.UPLOADED} if recording.status is RecordingStatus.PROCESSING else {}
