"""The one table of topics: one topic per event type and named by it, keyed by recording id so that order holds."""

from collections.abc import Mapping

import msgspec

from shared.events.event import Event
from shared.events.recording import (
    RecordingCreated,
    RecordingDeleted,
    RecordingFailed,
    RecordingStitched,
    RecordingUploaded,
    UploadClaimed,
)
from shared.events.transcription import (
    TranscriptionCompleted,
    TranscriptionFailed,
    TranscriptionQueued,
    TranscriptionStarted,
)

AnyEvent = (
    RecordingCreated
    | RecordingUploaded
    | RecordingStitched
    | RecordingFailed
    | RecordingDeleted
    | UploadClaimed
    | TranscriptionQueued
    | TranscriptionStarted
    | TranscriptionCompleted
    | TranscriptionFailed
)


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic: what it carries, who decides it, which consumer groups read it, and whether customers may hear of it.

    `producers` are the services whose decision the event tells of; the relay of any service may publish what another left.
    """

    event: type[Event]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    public: bool = True

    @property
    def name(self) -> str:
        """The topic's name, which is the event's type."""
        return str(self.event.__struct_config__.tag)


DEAD_LETTER_TOPIC = "dead-letter"
"""Where messages go that no retry can help; headers say from where, why and with what stack."""

TOPICS: Mapping[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic(event=RecordingCreated, producers=("ingest",), consumers=("webhooks",)),
        Topic(event=RecordingUploaded, producers=("ingest", "stitcher"), consumers=("stitcher", "webhooks")),
        Topic(event=RecordingDeleted, producers=("ingest",), consumers=("stitcher", "webhooks")),
        Topic(event=UploadClaimed, producers=("ingest",), consumers=("stitcher",), public=False),
        Topic(event=RecordingStitched, producers=("stitcher",), consumers=("transcriber", "webhooks")),
        Topic(event=RecordingFailed, producers=("ingest", "stitcher"), consumers=("webhooks",)),
        Topic(event=TranscriptionQueued, producers=("ingest", "transcriber"), consumers=("transcriber", "webhooks")),
        Topic(event=TranscriptionStarted, producers=("transcriber",), consumers=("webhooks",)),
        Topic(event=TranscriptionCompleted, producers=("transcriber",), consumers=("webhooks",)),
        Topic(event=TranscriptionFailed, producers=("ingest", "transcriber"), consumers=("webhooks",)),
    )
}
"""Every topic by name."""

PUBLIC_EVENT_TYPES: tuple[str, ...] = tuple(topic.name for topic in TOPICS.values() if topic.public)
"""The event types that are sent to webhook endpoints (contract A21)."""

SUBSCRIBABLE: tuple[str, ...] = (*PUBLIC_EVENT_TYPES, "summary.started", "summary.completed", "summary.failed")
"""What a webhook endpoint may ask for: also what clients know from the contract's list (12.2) and nothing here makes."""


def topics_read_by(group: str) -> tuple[str, ...]:
    """Return the names of the topics that the consumer group `group` reads."""
    return tuple(topic.name for topic in TOPICS.values() if group in topic.consumers)
