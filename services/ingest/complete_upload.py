"""The verb of upload-complete: whole files are stored and, where a hash is claimed, hash to it: the recording is uploaded."""

from services.ingest import bodies
from services.ingest.outbox import Outbox, decided_anew
from services.ingest.ports import RecordingStore
from services.ingest.read_recordings import found
from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import (
    ContentMismatch,
    Forbidden,
    InvalidRequest,
    SizeMismatch,
    VerificationPending,
    not_found,
)
from services.ingest.request_upload import AWAITING_UPLOAD, being_verified, not_awaiting
from services.ingest.uploaded_media import as_uploaded, inspected
from shared.domain.caller import Caller, CredentialKind
from shared.domain.clock import now
from shared.domain.errors import FailureReason
from shared.domain.ids import new_id
from shared.domain.job import Failure, Job, JobKind
from shared.domain.kept_answer import Claim
from shared.domain.media import Media, main_file
from shared.domain.recording import HashClaim, Recording, RecordingStatus
from shared.events.recording import RecordingFailed, recording_event, recording_uploaded, upload_claimed

INLINE_HASH_BYTES = 8 * 1024 * 1024
"""Files up to this size are hashed within the request; larger ones by the stitcher, and the client asks again."""

_MISMATCH = "the upload's SHA-256 is not the one declared"


class CompleteUpload:
    """Completes uploads of whole files."""

    def __init__(self, recordings: RecordingStore, files: RecordingFiles, outbox: Outbox) -> None:
        self._recordings, self._files, self._outbox = recordings, files, outbox

    async def __call__(
        self, caller: Caller, recording_id: str, body: bodies.CompleteUpload, claim: Claim | None = None
    ) -> Recording:
        """Move the recording to `uploaded` when every announced file is stored and, if a hash is claimed, hashes to it.

        A repeat without a hash is refused; one with the hash that was verified finds the recording as it stands, one with
        another hash changes nothing. While a large file is hashed the answer is `VerificationPending`. A file that was found
        wrong stays wrong, claimed again or not, until a new upload-url was asked for. An upload's token completes one upload,
        that of its own file; its repeat finds the recording as it stands even without a hash. So does the repeat of a claim of
        which an earlier run may have completed the upload, for it was completed since.
        """
        if body.recording_id not in {None, recording_id}:
            raise InvalidRequest("the body names another recording than the path", param="recording_id")
        claimed = body.content_sha256.lower() if body.content_sha256 else None

        async def attempt() -> Recording:
            recording = await found(self._recordings, caller, recording_id)
            token = caller.kind is CredentialKind.UPLOAD_TOKEN
            if token and caller.credential_id not in {media.id for media in recording.media}:
                raise Forbidden("the upload that this token was for has been replaced by a newer one")
            if not recording.streaming and recording.status in AWAITING_UPLOAD:
                return await self._complete(recording, claimed, body.file_size_bytes)
            if claimed is None and (token or _completed_since(recording, claim)):
                return recording
            return await self._replay(recording, claimed)

        return await decided_anew(attempt)

    async def done_since(self, caller: Caller, recording_id: str, claim: Claim | None) -> Recording | None:
        """Return the recording if an earlier run of the claim may have completed its upload, for it was completed since."""
        if claim is None:
            return None
        recording = await found(self._recordings, caller, recording_id)
        return recording if _completed_since(recording, claim) else None

    async def recording_of(self, caller: Caller, upload_id: str) -> str:
        """Return the id of the recording that a file belongs to, or `upload_id` itself when it is a recording's."""
        if not upload_id.startswith("med_"):
            return upload_id
        recording = await self._recordings.by_media(caller.tenant, upload_id)
        if recording is None or not caller.sees(recording):
            raise not_found("upload")
        return recording.id

    async def _complete(self, recording: Recording, claimed: str | None, size: int | str | None) -> Recording:
        _refuse_while_verifying(recording, claimed)
        _refuse_known_mismatch(recording, claimed)
        media = await inspected(self._files, recording)
        main = main_file(media)
        length = main.file_size_bytes or 0
        if size is not None and int(size) != length:
            raise SizeMismatch("what is stored has another size", param="file_size_bytes", details={"stored_bytes": length})
        if claimed is None:
            return await self._pass(recording, media, None)
        if length > INLINE_HASH_BYTES:
            return await self._claim(recording, media, claimed)
        if await self._files.sha256(main, length) != claimed:
            return await self._fail(recording, claimed)
        return await self._pass(recording, media, claimed)

    async def _pass(self, recording: Recording, media: tuple[Media, ...], verified: str | None) -> Recording:
        at = now()
        after = recording.changed(
            status=RecordingStatus.UPLOADED,
            media=as_uploaded(media),
            content_sha256=verified,
            content_sha256_verified_at=at if verified else None,
            job=Job(id=new_id("job_stitcher"), kind=JobKind.STITCH, queued_at=at, available_at=at),
            failure=None,
            uploaded_at=at,
        )
        return await self._outbox.save(self._recordings, recording, after, recording_uploaded(after, 0))

    async def _claim(self, recording: Recording, media: tuple[Media, ...], claimed: str) -> Recording:
        at = now()
        after = recording.changed(
            media=media,
            hash_claim=_claim_of(recording, claimed),
            job=Job(id=new_id("job_verifier"), kind=JobKind.VERIFY, queued_at=at, available_at=at),
            failure=None,
        )
        await self._outbox.save(self._recordings, recording, after, upload_claimed(after))
        raise _pending()

    async def _fail(self, recording: Recording, claimed: str) -> Recording:
        failure = Failure(reason=FailureReason.CONTENT_HASH_MISMATCH, message=_MISMATCH)
        after = recording.changed(
            status=RecordingStatus.INTEGRITY_FAILURE, failure=failure, hash_claim=_claim_of(recording, claimed)
        )
        await self._outbox.save(self._recordings, recording, after, recording_event(RecordingFailed, after))
        raise _mismatch(claimed)

    async def _replay(self, recording: Recording, claimed: str | None) -> Recording:
        if claimed is None or recording.streaming:
            raise not_awaiting(recording)
        if recording.content_sha256 is None:
            raise _pending() if recording.job and recording.job.active else not_awaiting(recording)
        if recording.content_sha256 != claimed:
            raise ContentMismatch("the upload was completed with another SHA-256", param="content_sha256")
        if recording.content_sha256_verified_at is not None:
            return recording
        verified = recording.changed(content_sha256_verified_at=now())
        return await self._outbox.save(self._recordings, recording, verified)


def _claim_of(recording: Recording, claimed: str) -> HashClaim:
    return HashClaim(content_sha256=claimed, media_id=main_file(recording.media).id)


def _completed_since(recording: Recording, claim: Claim | None) -> bool:
    """Whether the upload of the whole file was completed after the claim was first made."""
    uploaded_at = None if recording.streaming else recording.uploaded_at
    return claim is not None and uploaded_at is not None and uploaded_at >= claim.first_at


def _refuse_while_verifying(recording: Recording, claimed: str | None) -> None:
    claim = recording.hash_claim
    if not being_verified(recording):
        return
    if claimed is not None and claim is not None and claim.content_sha256 != claimed:
        raise ContentMismatch("another SHA-256 is being verified", param="content_sha256")
    raise _pending()


def _refuse_known_mismatch(recording: Recording, claimed: str | None) -> None:
    """Answer for a file that was found wrong before: only another file, or another claim, is looked at anew."""
    claim = recording.found_wrong
    if claim is None or claimed not in {None, claim.content_sha256} or main_file(recording.media).id != claim.media_id:
        return
    raise not_awaiting(recording) if claimed is None else _mismatch(claimed)


def _mismatch(claimed: str) -> ContentMismatch:
    return ContentMismatch(f"{_MISMATCH}: upload it anew", param="content_sha256", details={"declared": claimed})


def _pending() -> VerificationPending:
    return VerificationPending("the upload is being hashed: send the same request again")
