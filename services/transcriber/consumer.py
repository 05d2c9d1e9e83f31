"""What the transcriber hears from Kafka: stitched audio to decide about, and wake-ups for jobs that stand in MongoDB."""

from collections.abc import Callable, Mapping

from services.transcriber.decide import DecideTranscription
from shared.events.event import Event
from shared.events.recording import RecordingStitched
from shared.events.transcription import TranscriptionQueued
from shared.messaging.pipeline import Handler


def handlers(decide: DecideTranscription, wake: Callable[[], None]) -> Mapping[type[Event], Handler]:
    """Return what to do with each kind of event."""

    async def on_recording_stitched(stitched: RecordingStitched) -> None:
        await decide(stitched.tenant, stitched.recording_id)

    async def on_transcription_queued(_queued: TranscriptionQueued) -> None:
        wake()

    return {RecordingStitched: on_recording_stitched, TranscriptionQueued: on_transcription_queued}
