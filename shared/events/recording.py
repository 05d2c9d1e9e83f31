"""Facts about recordings; each is made from the recording as it stands after the fact."""

from typing import TypeVar

import msgspec

from shared.domain.ids import event_id
from shared.domain.recording import Recording
from shared.domain.trace import current_trace
from shared.events.event import Event
from shared.events.resources import RecordingResource, recording_resource


class RecordingEvent(Event, frozen=True, kw_only=True):
    """A fact about a recording, with the recording as the API showed it at that moment."""

    recording: RecordingResource


class RecordingCreated(RecordingEvent, frozen=True, kw_only=True, tag="recording.created"):
    """A recording was opened; no audio yet."""


class RecordingUploaded(RecordingEvent, frozen=True, kw_only=True, tag="recording.uploaded"):
    """All audio is stored; the recording can be stitched."""

    chunk_count: int = 0  # 0: one whole file, nothing to join


class RecordingStitched(RecordingEvent, frozen=True, kw_only=True, tag="recording.stitched"):
    """The audio is one verified object of known duration; the recording can be transcribed."""


class RecordingFailed(RecordingEvent, frozen=True, kw_only=True, tag="recording.failed"):
    """The audio cannot be used; `recording.error` says why."""


class RecordingDeleted(RecordingEvent, frozen=True, kw_only=True, tag="recording.deleted"):
    """The recording is gone from reads; its audio is to be erased."""


class UploadClaimed(Event, frozen=True, kw_only=True, tag="upload.claimed"):
    """A client completed an upload and said its hash; the stitcher verifies it. Internal: no webhook carries it."""


R = TypeVar("R", bound=RecordingEvent)


def recording_uploaded(recording: Recording, chunk_count: int) -> RecordingUploaded:
    """Make the fact that all audio of `recording` is stored, in `chunk_count` chunks (0: one whole file)."""
    return msgspec.structs.replace(recording_event(RecordingUploaded, recording), chunk_count=chunk_count)


def recording_event(kind: type[R], recording: Recording) -> R:
    """Make the fact by which `recording` came to its present version."""
    return kind(
        event_id=event_id(recording.id, str(kind.__struct_config__.tag), recording.version),
        project_id=recording.project_id,
        mode=recording.mode,
        recording_id=recording.id,
        version=recording.version,
        occurred_at=recording.updated_at,
        trace_id=current_trace(),
        recording=recording_resource(recording),
    )


def upload_claimed(recording: Recording) -> UploadClaimed:
    """Make the fact that `recording` waits for its hash to be verified."""
    return UploadClaimed(
        event_id=event_id(recording.id, "upload.claimed", recording.version),
        project_id=recording.project_id,
        mode=recording.mode,
        recording_id=recording.id,
        version=recording.version,
        occurred_at=recording.updated_at,
        trace_id=current_trace(),
    )
