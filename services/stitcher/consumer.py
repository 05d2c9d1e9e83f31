"""What the stitcher hears from Kafka: wake-ups, for the jobs, and what is to be erased, stand in MongoDB."""

from collections.abc import Callable, Mapping

from shared.events.event import Event
from shared.events.recording import RecordingDeleted, RecordingUploaded, UploadClaimed
from shared.messaging.pipeline import Handler


def handlers(wake: Callable[[], None], wake_eraser: Callable[[], None]) -> Mapping[type[Event], Handler]:
    """Return what to do with each kind of event."""

    async def on_recording_uploaded(_uploaded: RecordingUploaded) -> None:
        wake()

    async def on_upload_claimed(_claimed: UploadClaimed) -> None:
        wake()

    async def on_recording_deleted(_deleted: RecordingDeleted) -> None:
        wake_eraser()

    return {
        RecordingUploaded: on_recording_uploaded,
        UploadClaimed: on_upload_claimed,
        RecordingDeleted: on_recording_deleted,
    }
