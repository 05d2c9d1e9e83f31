"""Transcriptions with their text."""

from shared.domain.transcript import Segment, Transcript
from shared.domain.transcription import Transcription, TranscriptionStatus
from shared.events.resources import TranscriptionResource, transcription_resource


class TranscriptionView(TranscriptionResource, frozen=True, kw_only=True):
    """A transcription; `text` and `full_text` are the same, and null until it is completed (contract A13).

    `segments` of one that is processing are those heard so far; they may change.
    """

    text: str | None
    full_text: str | None
    segments: tuple[Segment, ...] | None


def transcription_view(transcription: Transcription, transcript: Transcript | None = None) -> TranscriptionView:
    """Show a transcription with its text, if there is one."""
    resource = transcription_resource(transcription)
    completed = transcription.status is TranscriptionStatus.COMPLETED
    text = transcript.text if transcript is not None and completed else None
    return TranscriptionView(
        **{name: getattr(resource, name) for name in TranscriptionResource.__struct_fields__},
        text=text,
        full_text=text,
        segments=None if transcript is None else transcript.segments,
    )
