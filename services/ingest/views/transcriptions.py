"""Transcriptions with their text."""

import msgspec

from services.ingest.list_transcriptions import TranscriptionPage
from services.ingest.queue_place import QueuePlace
from services.ingest.views.pages import PageView, page_view
from shared.domain.clock import wire_time_or_none
from shared.domain.transcript import Segment, Transcript
from shared.domain.transcription import Transcription, TranscriptionStatus
from shared.events.resources import TranscriptionResource, transcription_resource


class TranscriptionWithText(TranscriptionResource, frozen=True, kw_only=True):
    """A transcription; `text` and `full_text` are the same, and null until it is completed (contract A13)."""

    text: str | None
    full_text: str | None
    segments: tuple[Segment, ...] | None


class TranscriptionView(TranscriptionWithText, frozen=True, kw_only=True):
    """A transcription as the API shows it.

    `segments` of one that is processing are those heard so far; they may change. `queue_position` counts from 1, of one
    that waits, when it is read by itself.
    """

    queue_position: int | None
    estimated_start_at: str | None


def transcription_view(
    transcription: Transcription, transcript: Transcript | None = None, place: QueuePlace | None = None
) -> TranscriptionView:
    """Show a transcription with its text, if there is one."""
    resource = transcription_resource(transcription)
    completed = transcription.status is TranscriptionStatus.COMPLETED
    text = transcript.text if transcript is not None and completed else None
    return TranscriptionView(
        **{name: getattr(resource, name) for name in TranscriptionResource.__struct_fields__},
        text=text,
        full_text=text,
        segments=None if transcript is None else transcript.segments,
        queue_position=None if place is None else place.position,
        estimated_start_at=None if place is None else wire_time_or_none(place.estimated_start_at),
    )


def listed_view(found: TranscriptionPage) -> PageView[TranscriptionView]:
    """Show a page of transcriptions: with their texts, as far as they are at hand, and without segments."""
    return page_view(found.page, [_listed(item, found.texts.get(item.id)) for item in found.page.items])


def _listed(transcription: Transcription, text: str | None) -> TranscriptionView:
    return msgspec.structs.replace(transcription_view(transcription), text=text, full_text=text)
