"""The ways in which a request is refused, each by name; `problems.py` says which status and code they become."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from services.ingest.request_context import Standing

Details = Mapping[str, Any]

_MOST_NAMED = 1000


class Refused(Exception):
    """A request that will not be served as it is; `param` names the field at fault, `details` help a program.

    `may_pass` says of a kind of refusal that the very same request may be served later: something is awaited or still missing.
    """

    retry_after_s: int | None = None
    may_pass: ClassVar[bool] = False

    def __init__(self, message: str, *, param: str | None = None, details: Details | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.details = details


class InvalidRequest(Refused):
    """A body, a parameter or the moment is wrong."""


class InvalidNow(InvalidRequest):
    """The moment is wrong: what the request needs may come about, and then it is served."""

    may_pass = True


class Unauthorized(Refused):
    """There is no credential, or none that we know."""


class Forbidden(Refused):
    """The credential is good but does not allow this."""


class EncryptionRequired(Refused):
    """The configuration demands encrypted uploads, which are not served here."""


class UploadUrlExpired(Refused):
    """The upload URL was good once."""


class NotFound(Refused):
    """There is no such thing, or it is another project's."""


class RecordingNotFound(Refused):
    """Finalize named a recording that is not there."""


class RateLimitExceeded(Refused):
    """Too many requests of a project, or too many wrong credentials from an address; `standing` is of the limit that was met."""

    may_pass = True

    def __init__(self, message: str, *, standing: Standing | None = None, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.standing = standing
        self.retry_after_s = retry_after_s


class IdempotencyKeyReused(Refused):
    """The idempotency key was sent with another request before."""


class IdempotencyInProgress(Refused):
    """The first request with this idempotency key is still being served."""

    retry_after_s = 1
    may_pass = True


class HeadersTooLarge(Refused):
    """More headers than anybody needs."""


class CodedBody(Refused):
    """A compressed body."""


class UrlTooLong(Refused):
    """A path or a query longer than any of ours."""


class ResourceAlreadyExists(Refused):
    """Another resource has what may be there only once."""

    may_pass = True


class DeviceAlreadyBound(Refused):
    """The device belongs to another end user."""

    may_pass = True


class DeviceNotBound(Refused):
    """The device belongs to nobody."""

    may_pass = True


class NotStreaming(Refused):
    """Chunks belong to streaming recordings only."""


class ChunkCountMismatch(Refused):
    """The stored chunks are not those that finalize announced."""

    may_pass = True


class AlreadyFinalized(Refused):
    """The upload is closed: no chunk and no other parameters are taken any more."""


class ClientGone(Refused):
    """The client closed the connection before its body was whole; nobody reads the answer."""

    may_pass = True


class NotPlainAudio(Refused):
    """What should begin as audio does not: it is encrypted, or something else."""


class EmptyChunk(Refused):
    """A chunk without a byte."""


class LengthRequired(Refused):
    """An upload that does not say how long it is."""


class PayloadTooLarge(Refused):
    """A body larger than the limit."""


class UploadIncomplete(Refused):
    """Something that was to be uploaded is not there, or not all of it."""

    may_pass = True


class VerificationPending(Refused):
    """The upload is still being hashed; the same request will be answered later."""

    retry_after_s = 2
    may_pass = True


class ContentMismatch(Refused):
    """What was uploaded is not what the client says it uploaded."""

    may_pass = True


class SizeMismatch(Refused):
    """What was uploaded is not as long as the client says."""

    may_pass = True


class RecordingNotReady(Refused):
    """There is no audio to transcribe, or not yet."""

    may_pass = True


class TranscriptionNotCompleted(Refused):
    """There is no transcript of this transcription, or not yet."""


class TranscriptionInProgress(Refused):
    """The recording is being transcribed already."""

    may_pass = True


class TranscriptionEnded(Refused):
    """The transcription is completed, or has failed: there is nothing left to cancel."""


class UnsupportedLanguage(Refused):
    """The provider does not know the language."""


class ProviderNotConfigured(Refused):
    """The provider exists but this installation has no access to it."""

    may_pass = True


class LimitReached(Refused):
    """There may not be more of these."""

    may_pass = True


class TooManyStreams(Refused):
    """The project follows as many recordings as it may at a time."""

    retry_after_s = 5
    may_pass = True


class EndpointDisabled(Refused):
    """Nothing is sent to a disabled webhook endpoint."""

    may_pass = True


def not_found(what: str, param: str | None = None) -> NotFound:
    """Refuse because there is no such `what` for the caller, in words that are the same for what is missing and another's."""
    return NotFound(f"there is no such {what}", param=param)


def no_credential() -> Unauthorized:
    """Refuse because there is no credential."""
    return Unauthorized("this needs a credential: Authorization: Bearer <key>")


def invalid_credential() -> Unauthorized:
    """Refuse because the credential is none that we know, or has ended, or was revoked."""
    return Unauthorized("the credential is not valid")


def scope_missing(scope: str) -> Forbidden:
    """Refuse because the credential lacks `scope`."""
    return Forbidden(f"this credential does not allow {scope}", details={"required_scope": scope})


def credential_missing(kind: str) -> Forbidden:
    """Refuse because a credential of another kind is needed, whatever scopes this one has."""
    return Forbidden(f"this needs a credential of the kind {kind}", details={"required_credential": kind})


def client_gone() -> ClientGone:
    """Refuse a body of which no more will come."""
    return ClientGone("the connection was closed before the body was whole")


def chunk_count_mismatch(expected: int, received: Sequence[int]) -> ChunkCountMismatch:
    """Refuse to finalize, naming at most a thousand of the chunks that are missing and of those that are too many."""
    present = set(received)
    missing = (number for number in range(1, expected + 1) if number not in present)
    unexpected = (number for number in received if number > expected)
    return ChunkCountMismatch(
        f"{expected} chunks were announced, {len(present)} are stored",
        details={
            "expected_chunks": expected,
            "received_chunks": len(present),
            "missing_chunks": list(islice(missing, _MOST_NAMED)),
            "unexpected_chunks": list(islice(unexpected, _MOST_NAMED)),
        },
    )
