"""Transcriptions with their text."""

from shared.domain.transcript import Segment, Transcript
from shared.domain.transcription import Transcription
from shared.events.resources import TranscriptionResource, transcription_resource


class TranscriptionView(TranscriptionResource, frozen=True, kw_only=True):
    """A transcription; `text` and `full_text` are the same, and null until it is completed (contract A13)."""

    text: str | None
    full_text: str | None
    segments: tuple[Segment, ...] | None


def transcription_view(transcription: Transcription, transcript: Transcript | None = None) -> TranscriptionView:
    """Show a transcription with its text, if there is one."""
    resource = transcription_resource(transcription)
    text = None if transcript is None else transcript.text
    return TranscriptionView(
        **{name: getattr(resource, name) for name in TranscriptionResource.__struct_fields__},
        text=text,
        full_text=text,
        segments=None if transcript is None else transcript.segments,
    )
