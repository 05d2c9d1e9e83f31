"""Facts about transcriptions; each is made from the transcription as it stands after the fact."""

from typing import TypeVar

from shared.domain.ids import event_id
from shared.domain.trace import current_trace
from shared.domain.transcription import Transcription
from shared.events.event import Event
from shared.events.resources import TranscriptionResource, transcription_resource


class TranscriptionEvent(Event, frozen=True, kw_only=True):
    """A fact about a transcription, with the transcription as the API showed it at that moment, less its text."""

    transcription_id: str
    transcription: TranscriptionResource


class TranscriptionQueued(TranscriptionEvent, frozen=True, kw_only=True, tag="transcription.queued"):
    """A transcription waits for a worker."""


class TranscriptionStarted(TranscriptionEvent, frozen=True, kw_only=True, tag="transcription.started"):
    """A worker has claimed the transcription."""


class TranscriptionCompleted(TranscriptionEvent, frozen=True, kw_only=True, tag="transcription.completed"):
    """The transcript is stored and readable."""


class TranscriptionFailed(TranscriptionEvent, frozen=True, kw_only=True, tag="transcription.failed"):
    """There will be no transcript; `transcription.error` says why."""


T = TypeVar("T", bound=TranscriptionEvent)


def transcription_event(kind: type[T], transcription: Transcription) -> T:
    """Make the fact by which `transcription` came to its present version."""
    return kind(
        event_id=event_id(transcription.id, str(kind.__struct_config__.tag), transcription.version),
        project_id=transcription.project_id,
        mode=transcription.mode,
        recording_id=transcription.recording_id,
        version=transcription.version,
        occurred_at=transcription.updated_at,
        trace_id=current_trace(),
        transcription_id=transcription.id,
        transcription=transcription_resource(transcription),
    )


def completion_of(transcription: Transcription) -> TranscriptionCompleted:
    """Return the fact, which the transcriber has made, that the transcription is completed: to be shown, not to be told again."""
    return transcription_event(TranscriptionCompleted, transcription)
