"""What the use cases need from the outside, as they need it."""

from collections.abc import AsyncIterable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from shared.domain.caller import ApiKey, Credential
from shared.domain.device import Device
from shared.domain.end_user import EndUser
from shared.domain.job import Lane
from shared.domain.kept_answer import Answer, Claim, ClaimedRequest
from shared.domain.project import Organization, Project
from shared.domain.provider_key import ProviderKey
from shared.domain.provider_order import ProviderOrder
from shared.domain.recording import Intake, Recording, RecordingVersion
from shared.domain.stored_object import StoredObject
from shared.domain.tenant import Tenant
from shared.domain.transcript import Transcript
from shared.domain.transcription import ProviderName, Transcription
from shared.domain.upload_token import UploadToken
from shared.events.event import Event
from shared.events.transcription import TranscriptionEvent

A = TypeVar("A", bound=Any)


class EventRelay(Protocol):
    """What publishes stored events."""

    def nudge(self, outbox: str, aggregate_id: str, events: Sequence[Event]) -> None:
        """Publish `events`, which stand in an outbox, soon; returns at once, never fails."""


class AggregateStore(Protocol[A]):
    """A collection of documents with versions and outboxes."""

    @property
    def name(self) -> str:
        """The collection's name."""

    async def get(self, tenant: Tenant, aggregate_id: str) -> A | None:
        """Return one, unless it is another tenant's, deleted or not there."""

    async def add(self, aggregate: A, *events: Event) -> A:
        """Store a new one with its events; raises `AlreadyExists`."""

    async def save(self, before: A, after: A, *events: Event, **unseen: Any) -> A:  # noqa: ANN401 - fields the Struct does not show
        """Replace `before` by `after` and queue `events` in one write, with fields beside them; raises `VersionConflict`."""

    async def confirm(self, seen: A) -> None:
        """Return when what was seen is there for good; raises `VersionConflict` when it is so no longer."""


class RecordingStore(AggregateStore[Recording], Protocol):
    """Recordings."""

    async def intake(self, tenant: Tenant, recording_id: str) -> Intake | None:
        """Return whether the recording takes chunks, as it stood after this was called."""

    async def begin_closing(
        self, tenant: Tenant, recording_id: str, sight: Mapping[str, str], mark: str, until: datetime
    ) -> Recording | None:
        """Mark an open streaming recording, of which `sight` holds, as closing; if the mark is lost, no save of it succeeds."""

    async def end_closing(self, tenant: Tenant, recording_id: str, mark: str) -> None:
        """Take one mark away."""

    async def void_closing(self, tenant: Tenant, recording_id: str, until: datetime) -> None:
        """Take marks away that have ended at `until`; whoever set them saves nothing any more."""

    async def manifest(self, tenant: Tenant, recording_id: str) -> bytes | None:
        """Return the manifest that was saved with the recording."""

    async def page(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[Recording]:
        """Return recordings newest first, those of ids below `before` if given."""

    async def page_of_versions(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> Sequence[RecordingVersion]:
        """Return which recordings `page` would return, in which versions they stand; the same object may be given to several."""

    async def those_of(self, tenant: Tenant, versions: Sequence[RecordingVersion]) -> list[Recording]:
        """Return those of the recordings that stand in just these versions and are not deleted, in no order."""

    async def undeleted(self, tenant: Tenant, recording_ids: Collection[str]) -> Collection[str]:
        """Return the ids of those of these recordings that are there and not deleted."""

    async def twin_of(self, recording: Recording) -> Recording | None:
        """Return the recording that has the tenant, device, uuid and generation of this one and is not deleted."""

    async def by_media(self, tenant: Tenant, media_id: str) -> Recording | None:
        """Return the recording that this file belongs to."""

    async def reflect(self, event: TranscriptionEvent) -> None:
        """Show a fact about a transcription on its recording; a replay changes nothing."""


class TranscriptionStore(AggregateStore[Transcription], Protocol):
    """Transcriptions."""

    async def newest_of(self, tenant: Tenant, recording_id: str) -> Transcription | None:
        """Return the recording's newest transcription."""

    async def ahead_of(self, waiting: Transcription, limit: int) -> int:
        """Return how many of its project's jobs go before one that waits, counted up to `limit`."""

    async def running_of(self, project_id: str, lane: Lane, limit: int) -> int:
        """Return how many of the project's jobs in the lane are claimed, counted up to `limit`."""

    async def page(
        self, tenant: Tenant, matching: Mapping[str, Any], limit: int, *, before: str | None = None, offset: int = 0
    ) -> list[Transcription]:
        """Return transcriptions newest first, those of ids below `before` if given."""

    async def delete_of(self, tenant: Tenant, recording_id: str) -> None:
        """Delete those of a recording; whoever works on one has lost its lease."""


class TranscriptReader(Protocol):
    """Where finished text is read."""

    async def get(self, tenant: Tenant, transcription_id: str) -> Transcript | None:
        """Return the transcript, if it is there."""

    async def texts(self, tenant: Tenant, transcription_ids: Sequence[str]) -> dict[str, str]:
        """Return the texts alone, by id, of those that are there."""


class ObjectStore(Protocol):
    """The bucket."""

    async def put(
        self, key: str, body: bytes | tuple[bytes, ...] | AsyncIterable[bytes], size_bytes: int, content_type: str
    ) -> StoredObject:
        """Store exactly `size_bytes` of `body`, which may be in pieces, or nothing (`BodyMismatch`)."""

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is stored under `key`."""

    async def read(self, key: str, start: int, length: int) -> bytes:
        """Return a range of bytes."""

    async def list(self, prefix: str) -> list[StoredObject]:
        """Return every object below `prefix`, sorted by key."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those already gone are no error."""

    def presigned_put(self, key: str, expires_s: int, *, size_bytes: int | None = None) -> str:
        """Return a URL for one plain PUT."""

    def presigned_get(self, key: str, expires_s: int, *, filename: str | None = None, content_type: str | None = None) -> str:
        """Return a URL that reads the object, saved as `filename` and served as `content_type`."""


class WindowStore(Protocol):
    """What all replicas have taken from rate limits."""

    async def take(self, window_id: str, count: int, expires_at: datetime) -> int:
        """Add `count` to what was taken in the window and return the sum."""


class AnswerStore(Protocol):
    """Requests with idempotency keys, and how they were answered."""

    async def claim(self, request: ClaimedRequest) -> bool:
        """Store the request unless one is there under its id."""

    async def get(self, request_id: str) -> ClaimedRequest | None:
        """Return the request and, once there is one, its answer."""

    async def take_over(self, stale: ClaimedRequest, fresh: ClaimedRequest) -> bool:
        """Put `fresh` in the place of `stale`; False when that is no longer as it was read."""

    async def renew(self, claim: Claim, until: datetime) -> None:
        """Keep the claim until then."""

    async def settle(self, claim: Claim, answer: Answer | None, *, nothing_done: bool = False) -> None:
        """Keep the answer, or, without one, let go of the claim; nothing happens when the claim is another's by now."""


class OrganizationLookup(Protocol):
    """Where an organization is looked up."""

    async def get(self, organization_id: str) -> Organization | None:
        """Return one."""


class OrganizationStore(OrganizationLookup, Protocol):
    """Organizations."""

    async def add(self, organization: Organization) -> None:
        """Store a new one."""

    async def page(self, limit: int, *, before: str | None = None, offset: int = 0) -> list[Organization]:
        """Return all, newest first."""


class OwnerLookup(Protocol):
    """Where the owner of a project is looked up."""

    async def organization_of(self, project_id: str) -> str | None:
        """Return the organization that owns the project, None when there is no such project."""


class ProjectStore(OwnerLookup, Protocol):
    """Projects."""

    async def add(self, project: Project) -> None:
        """Store a new one."""

    async def get(self, project_id: str) -> Project | None:
        """Return one."""

    async def page(self, organization_id: str | None, limit: int, *, before: str | None = None, offset: int = 0) -> list[Project]:
        """Return all, or those of one organization, newest first."""


class EndUserLookup(Protocol):
    """Where an end user is looked up."""

    async def get(self, tenant: Tenant, end_user_id: str) -> EndUser | None:
        """Return one, unless it is another tenant's, deleted or not there."""


class DeviceLookup(Protocol):
    """Where a device is looked up."""

    async def get(self, tenant: Tenant, device_id: str) -> Device | None:
        """Return one, unless it is another tenant's or not there."""


class CredentialLookup(Protocol):
    """Where a kind of credential is recognised."""

    async def by_secret(self, secret_sha256: str) -> Credential | None:
        """Return the credential that is not revoked and whose secret hashes to this."""

    async def touch(self, credential_id: str, at: datetime) -> None:
        """Note when it was last used."""


class KeyStore(CredentialLookup, Protocol):
    """API keys."""

    async def add(self, key: ApiKey) -> None:
        """Store a new one."""

    async def reissue(self, key: ApiKey) -> ApiKey | None:
        """Give the key that is there under this id the secret of `key`, None when it is revoked."""

    async def page(self, project_id: str, limit: int, *, before: str | None = None, offset: int = 0) -> list[ApiKey]:
        """Return the project's, revoked ones too, newest first."""

    async def revoke(self, project_id: str, key_id: str, at: datetime) -> ApiKey | None:
        """Make one useless; None when the project has none such."""


class ProviderKeyStore(Protocol):
    """Projects' own keys for speech providers."""

    async def put(self, tenant: Tenant, provider: ProviderName, secret: str) -> ProviderKey:
        """Keep a key in place of the one before."""

    async def of_tenant(self, tenant: Tenant) -> list[ProviderKey]:
        """Return the keys, without their secrets."""

    async def remove(self, tenant: Tenant, provider: ProviderName) -> bool:
        """Forget a key; return whether there was one."""


class UploadTokenStore(CredentialLookup, Protocol):
    """Tokens of uploads."""

    async def add(self, token: UploadToken) -> None:
        """Store a new one."""


class OrderReader(Protocol):
    """Orders at providers on the network."""

    async def by_token(self, token_sha256: str) -> ProviderOrder | None:
        """Return the order that the bearer of the token may answer."""
