"""The verbs that hand out pre-signed URLs: one for a whole file, or one per chunk. The bytes then bypass the API."""

from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

import msgspec

from services.ingest.bodies import RequestChunkUrls, RequestUpload
from services.ingest.limits import MAX_CHUNK_NUMBER, checked_time
from services.ingest.outbox import Outbox, decided_anew
from services.ingest.ports import RecordingStore, UploadTokenStore
from services.ingest.read_recordings import found
from services.ingest.recording_files import RecordingFiles, file_key
from services.ingest.refusals import InvalidNow, InvalidRequest, LimitReached, VerificationPending
from services.ingest.settle_chunk import require_open
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.job import JobKind
from shared.domain.kept_answer import Claim, identified
from shared.domain.media import CONTENT_TYPES, Media, MediaStatus, MediaType, default_content_type
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.secret import secret_sha256
from shared.domain.tenant import Tenant
from shared.domain.upload_token import UploadToken, new_upload_token

AWAITING_UPLOAD = frozenset({RecordingStatus.PENDING, RecordingStatus.INTEGRITY_FAILURE})
MAX_MEDIA = 100
TOKEN_GRACE = timedelta(minutes=15)
"""How long an upload's token outlives its URL: for a PUT that began in time to end, and its hash to be verified."""


class UploadOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A URL for one PUT of one file, and the token that completes the upload."""

    media: Media
    url: str
    token: str
    expires_at: datetime
    expires_in: int


class ChunkUrlOffer(msgspec.Struct, frozen=True, kw_only=True):
    """URLs for chunks, by number."""

    urls: dict[int, str]
    expires_at: datetime
    expires_in: int


class RequestUploadUrl:
    """Announces a file of a recording that awaits its upload, and hands out the URL to store it."""

    def __init__(
        self, recordings: RecordingStore, files: RecordingFiles, outbox: Outbox, tokens: UploadTokenStore, ttl_s: int
    ) -> None:
        self._recordings, self._files, self._outbox, self._tokens, self._ttl_s = recordings, files, outbox, tokens, ttl_s

    async def __call__(self, caller: Caller, recording_id: str, body: RequestUpload, claim: Claim | None = None) -> UploadOffer:
        """Announce the file, and return where to PUT it and the token that completes its upload.

        A file that an earlier run of the same claim has announced is announced no second time.
        """
        media = await self.announce(caller, recording_id, body, identified("med", claim))
        expires_at = now() + timedelta(seconds=self._ttl_s)
        url = self._files.upload_url(media, self._ttl_s)
        token = await self._new_token(caller.tenant, recording_id, media)
        return UploadOffer(media=media, url=url, token=token, expires_at=expires_at, expires_in=self._ttl_s)

    async def announce(self, caller: Caller, recording_id: str, body: RequestUpload, media_id: str) -> Media:
        """Add the file to the recording's media, pending, unless it is there; `VerificationPending` while that is being hashed.

        Files take the place of earlier ones of their kind that no upload can come of, so that a client whose URL has expired
        simply asks again; the earlier token is good for nothing then. Those are: any audio, for a recording has one; a file that
        was found wrong; an image or video whose URL has ended before it was stored.
        """

        async def attempt() -> Media:
            recording = await found(self._recordings, caller, recording_id)
            if recording.streaming or recording.status not in AWAITING_UPLOAD:
                raise not_awaiting(recording)
            if being_verified(recording):
                raise VerificationPending("what was uploaded is being hashed: ask again when that is done")
            if (known := next((item for item in recording.media if item.id == media_id), None)) is not None:
                return known
            media = _announced(recording, body, media_id)
            lost = await self._never_stored(recording, media.type)
            await self._outbox.save(self._recordings, recording, recording.changed(media=_with(recording, media, lost)))
            return media

        return await decided_anew(attempt)

    async def _never_stored(self, recording: Recording, kind: MediaType) -> set[str]:
        """Return the ids of the pending media of a kind whose URLs have ended, of which the store has nothing."""
        last = now() - timedelta(seconds=self._ttl_s) - TOKEN_GRACE
        pending = [media for media in recording.media if media.type is kind and media.status is MediaStatus.PENDING]
        ended = [media for media in pending if media.created_at < last]
        stored = await self._files.stored(ended)
        return {media.id for media, found in zip(ended, stored, strict=True) if found is None}

    async def _new_token(self, tenant: Tenant, recording_id: str, media: Media) -> str:
        secret = new_upload_token()
        token = UploadToken(
            secret_sha256=secret_sha256(secret),
            project_id=tenant.project_id,
            mode=tenant.mode,
            recording_id=recording_id,
            media_id=media.id,
            expires_at=now() + timedelta(seconds=self._ttl_s) + TOKEN_GRACE,
        )
        await self._tokens.add(token)
        return secret


class OfferChunkUrls:
    """Hands out URLs for a range of chunks of an open streaming recording."""

    def __init__(self, recordings: RecordingStore, files: RecordingFiles, ttl_s: int) -> None:
        self._recordings, self._files, self._ttl_s = recordings, files, ttl_s

    async def __call__(self, caller: Caller, recording_id: str, body: RequestChunkUrls) -> ChunkUrlOffer:
        """Return one URL per chunk from `first` on."""
        last = body.first + body.count - 1
        if last > MAX_CHUNK_NUMBER:
            raise InvalidRequest(f"chunk numbers go from 1 to {MAX_CHUNK_NUMBER}", param="count")
        require_open(await found(self._recordings, caller, recording_id))
        expires_at = now() + timedelta(seconds=self._ttl_s)
        urls = {
            number: self._files.chunk_url(caller.tenant, recording_id, number, self._ttl_s)
            for number in range(body.first, last + 1)
        }
        return ChunkUrlOffer(urls=urls, expires_at=expires_at, expires_in=self._ttl_s)


def being_verified(recording: Recording) -> bool:
    """Whether what is stored of the recording is being compared with a declared hash, or waits for that."""
    job = recording.job
    return job is not None and job.kind is JobKind.VERIFY and job.active


def not_awaiting(recording: Recording) -> InvalidNow:
    """Refuse what needs a recording that awaits an upload."""
    return InvalidNow("the recording does not await an upload", details={"current_status": recording.status})


def _announced(recording: Recording, body: RequestUpload, media_id: str) -> Media:
    kind = body.type or MediaType.AUDIO
    content_type = (body.content_type or default_content_type(kind)).partition(";")[0].strip().lower()
    accepted = CONTENT_TYPES[kind]
    if content_type not in accepted:
        raise InvalidRequest(f"{kind} is taken as {', '.join(accepted)}", param="content_type")
    return Media(
        id=media_id,
        type=kind,
        content_type=content_type,
        object_key=file_key(recording.tenant, recording.id, media_id, kind, content_type),
        declared_size_bytes=body.file_size_bytes,
        captured_at=checked_time(body.captured_at, "captured_at"),
        created_at=now(),
    )


def _with(recording: Recording, media: Media, lost: AbstractSet[str]) -> tuple[Media, ...]:
    others = tuple(item for item in recording.media if item.id not in lost and not _gives_way(recording, item, media))
    if len(others) >= MAX_MEDIA:
        raise LimitReached(f"a recording may have {MAX_MEDIA} media at most")
    return (*others, media)


def _gives_way(recording: Recording, present: Media, media: Media) -> bool:
    if present.type is not media.type:
        return False
    return present.type is MediaType.AUDIO or _was_found_wrong(recording, present)


def _was_found_wrong(recording: Recording, present: Media) -> bool:
    """Whether it is this file that was not as declared."""
    claim = recording.found_wrong
    return claim is not None and present.id == claim.media_id
