"""Recordings and their uploads."""

from typing import Annotated, Any

import msgspec

from services.ingest.list_recordings import ListedRecording
from services.ingest.open_recording import ChunkTemplate
from services.ingest.paging import Page
from services.ingest.request_upload import UploadOffer
from services.ingest.views.pages import PageView, page_view
from shared.domain.clock import wire_time
from shared.domain.recording import Finalization, Recording, RecordingStatus
from shared.domain.wire import an_id, one_of
from shared.events.resources import RecordingResource, recording_resource


class StreamingRecordingView(RecordingResource, frozen=True, kw_only=True):
    """A new streaming recording, with the place for its chunks (contract A7)."""

    chunk_upload_url_template: str
    chunk_upload_expires_at: str


class UploadUrlView(msgspec.Struct, kw_only=True):
    """Where a file may be PUT, past the API, and with which headers (contract A10)."""

    media_id: str
    upload_url: str
    content_type: str
    headers: dict[str, str]
    expires_at: str
    expires_in: int
    upload_token: str


class FinalizeView(msgspec.Struct, kw_only=True):
    """The answer to a finalize; made of what was stored then, so that a repeat gets the same bytes."""

    id: Annotated[str, an_id("rec")]
    status: Annotated[str, one_of(RecordingStatus)]
    transcription_status: str
    chunks_received: int
    stitching_job_id: Annotated[str, an_id("job_stitcher")]


def new_recording_view(resource: RecordingResource, template: ChunkTemplate | None) -> RecordingResource:
    """Show a recording just opened."""
    if template is None:
        return resource
    return StreamingRecordingView(
        **{name: getattr(resource, name) for name in RecordingResource.__struct_fields__},
        chunk_upload_url_template=template.url,
        chunk_upload_expires_at=wire_time(template.expires_at),
    )


def new_recording_json(resource: RecordingResource, template: ChunkTemplate | None) -> bytes:
    """Return `new_recording_view` in JSON, in a third of the time."""
    shown = msgspec.json.encode(resource)
    if template is None:
        return shown
    place = {"chunk_upload_url_template": template.url, "chunk_upload_expires_at": wire_time(template.expires_at)}
    return b"%b,%b" % (shown[:-1], msgspec.json.encode(place)[1:])


def listed_view(page: Page[ListedRecording]) -> PageView[Any]:
    """Show a page; each of its rows is a `RecordingResource` in JSON already."""
    return page_view(page, [msgspec.Raw(row.shown) for row in page.items])


def listed_json(page: Page[ListedRecording]) -> bytes:
    """Return `listed_view` in JSON, its rows copied only once."""
    rows = b",".join([row.shown for row in page.items])
    more = b"false" if page.next_cursor is None else b"true"
    return b'{"data":[%b],"has_more":%b,"next_cursor":%b}' % (rows, more, msgspec.json.encode(page.next_cursor))


def upload_url_view(offer: UploadOffer) -> UploadUrlView:
    """Show a URL for a file."""
    return UploadUrlView(
        media_id=offer.media.id,
        upload_url=offer.url,
        content_type=offer.media.content_type,
        headers={"Content-Type": offer.media.content_type},
        expires_at=wire_time(offer.expires_at),
        expires_in=offer.expires_in,
        upload_token=offer.token,
    )


def finalize_view(recording_id: str, finalization: Finalization) -> FinalizeView:
    """Show how a streaming upload was closed."""
    return FinalizeView(
        id=recording_id,
        status=RecordingStatus.UPLOADED,
        transcription_status="queued",
        chunks_received=finalization.chunks_received,
        stitching_job_id=finalization.stitching_job_id,
    )


def completed_view(recording: Recording, *, replayed: bool) -> RecordingResource:
    """Show a recording whose upload was completed.

    A client that repeats the call with its hash waits for `uploaded` and nothing else (contract 6.5), so the repeat says what the
    completion came to, however far the recording has moved since.
    """
    resource = recording_resource(recording)
    moved_on = recording.status in (RecordingStatus.PROCESSING, RecordingStatus.COMPLETED)
    return msgspec.structs.replace(resource, status=RecordingStatus.UPLOADED) if replayed and moved_on else resource
