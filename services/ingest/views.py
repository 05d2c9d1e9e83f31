"""What the API shows that is not a resource of an event: pages, answers of actions, admin objects."""

from typing import Any, Generic, TypeVar

import msgspec

from services.ingest.administer import NewKey
from services.ingest.open_recording import ChunkTemplate
from services.ingest.paging import Page
from services.ingest.recording_files import ReceivedChunk
from services.ingest.request_upload import ChunkUrlOffer, UploadOffer
from shared.domain.caller import ApiKey
from shared.domain.clock import wire_time, wire_time_or_none
from shared.domain.project import Organization, Project
from shared.domain.recording import Finalization, Recording, RecordingStatus
from shared.domain.webhook import WebhookEndpoint
from shared.events.resources import RecordingResource, recording_resource
from shared.storage.stored_object import StoredObject

T = TypeVar("T")


class PageView(msgspec.Struct, Generic[T], kw_only=True):
    """A page of a list (contract A16)."""

    data: list[T]
    has_more: bool
    next_cursor: str | None


class StreamingRecordingView(RecordingResource, frozen=True, kw_only=True):
    """A new streaming recording, with the place for its chunks (contract A7)."""

    chunk_upload_url_template: str
    chunk_upload_expires_at: str


class ChunkView(msgspec.Struct, kw_only=True):
    """One received chunk."""

    chunk_number: int
    file_size_bytes: int
    received_at: str | None


class StoredChunkView(msgspec.Struct, kw_only=True):
    """The answer to a chunk's PUT."""

    recording_id: str
    chunk_number: int
    file_size_bytes: int


class ChunkUrlView(msgspec.Struct, kw_only=True):
    """Where one chunk may be PUT, past the API."""

    chunk_number: int
    upload_url: str


class ChunkUrlsView(msgspec.Struct, kw_only=True):
    """URLs for chunks."""

    data: list[ChunkUrlView]
    expires_at: str
    expires_in: int


class UploadUrlView(msgspec.Struct, kw_only=True):
    """Where a file may be PUT, past the API, and with which headers (contract A10)."""

    media_id: str
    upload_url: str
    content_type: str
    headers: dict[str, str]
    expires_at: str
    expires_in: int


class FinalizeView(msgspec.Struct, kw_only=True):
    """The answer to a finalize; made of what was stored then, so that a repeat gets the same bytes."""

    id: str
    status: str
    transcription_status: str
    chunks_received: int
    stitching_job_id: str


class OrganizationView(msgspec.Struct, kw_only=True):
    """An organization."""

    id: str
    name: str
    created_at: str


class ProjectView(msgspec.Struct, kw_only=True):
    """A project."""

    id: str
    organization_id: str
    name: str
    created_at: str


class KeyView(msgspec.Struct, kw_only=True):
    """An API key, without its secret."""

    id: str
    project_id: str
    mode: str
    kind: str
    name: str | None
    scopes: tuple[str, ...]
    hint: str
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class NewKeyView(KeyView, kw_only=True):
    """A new API key: the only time its secret is shown."""

    secret: str


class EndpointView(msgspec.Struct, kw_only=True):
    """A webhook endpoint, without its secret."""

    id: str
    url: str
    events: tuple[str, ...]
    description: str | None
    status: str
    disabled_reason: str | None
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


class NewEndpointView(EndpointView, kw_only=True):
    """A new webhook endpoint: the only time its secret is shown."""

    secret: str


def page_view(page: Page[Any], items: list[T]) -> PageView[T]:
    """Show a page, its items as `items` shows them."""
    return PageView(data=items, has_more=page.next_cursor is not None, next_cursor=page.next_cursor)


def new_recording_view(recording: Recording, template: ChunkTemplate | None) -> RecordingResource:
    """Show a recording just opened."""
    resource = recording_resource(recording)
    if template is None:
        return resource
    return StreamingRecordingView(
        **{name: getattr(resource, name) for name in RecordingResource.__struct_fields__},
        chunk_upload_url_template=template.url,
        chunk_upload_expires_at=wire_time(template.expires_at),
    )


def chunk_view(chunk: ReceivedChunk) -> ChunkView:
    """Show a received chunk."""
    return ChunkView(
        chunk_number=chunk.number, file_size_bytes=chunk.size_bytes, received_at=wire_time_or_none(chunk.received_at)
    )


def stored_chunk_view(recording_id: str, number: int, stored: StoredObject) -> StoredChunkView:
    """Show that a chunk is stored."""
    return StoredChunkView(recording_id=recording_id, chunk_number=number, file_size_bytes=stored.size_bytes)


def chunk_urls_view(offer: ChunkUrlOffer) -> ChunkUrlsView:
    """Show URLs for chunks."""
    return ChunkUrlsView(
        data=[ChunkUrlView(chunk_number=number, upload_url=url) for number, url in offer.urls.items()],
        expires_at=wire_time(offer.expires_at),
        expires_in=offer.expires_in,
    )


def upload_url_view(offer: UploadOffer) -> UploadUrlView:
    """Show a URL for a file."""
    return UploadUrlView(
        media_id=offer.media.id,
        upload_url=offer.url,
        content_type=offer.media.content_type,
        headers={"Content-Type": offer.media.content_type},
        expires_at=wire_time(offer.expires_at),
        expires_in=offer.expires_in,
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


def organization_view(organization: Organization) -> OrganizationView:
    """Show an organization."""
    return OrganizationView(id=organization.id, name=organization.name, created_at=wire_time(organization.created_at))


def project_view(project: Project) -> ProjectView:
    """Show a project."""
    return ProjectView(
        id=project.id, organization_id=project.organization_id, name=project.name, created_at=wire_time(project.created_at)
    )


def key_view(key: ApiKey) -> KeyView:
    """Show a key."""
    return KeyView(**_key_fields(key))


def new_key_view(new: NewKey) -> NewKeyView:
    """Show a key with its secret."""
    return NewKeyView(**_key_fields(new.key), secret=new.secret)


def endpoint_view(endpoint: WebhookEndpoint) -> EndpointView:
    """Show a webhook endpoint."""
    return EndpointView(**_endpoint_fields(endpoint))


def new_endpoint_view(endpoint: WebhookEndpoint) -> NewEndpointView:
    """Show a webhook endpoint with its secret."""
    return NewEndpointView(**_endpoint_fields(endpoint), secret=endpoint.secrets[0].value)


def _key_fields(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "project_id": key.project_id,
        "mode": key.mode,
        "kind": key.kind,
        "name": key.name,
        "scopes": key.scopes,
        "hint": key.hint,
        "created_at": wire_time(key.created_at),
        "last_used_at": wire_time_or_none(key.last_used_at),
        "revoked_at": wire_time_or_none(key.revoked_at),
    }


def _endpoint_fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": endpoint.events,
        "description": endpoint.description,
        "status": endpoint.status,
        "disabled_reason": endpoint.disabled_reason,
        "metadata": endpoint.metadata,
        "created_at": wire_time(endpoint.created_at),
        "updated_at": wire_time(endpoint.updated_at),
    }
