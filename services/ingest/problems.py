"""The one map of errors to HTTP: status, code, and the envelope of contract A4."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException, ValidationException

from services.ingest import refusals
from services.ingest.choices import with_choices
from services.ingest.left_out import is_left_out
from services.ingest.limits import MAX_BODY_BYTES
from services.ingest.request_context import context_of
from shared.domain.errors import TransientFailure
from shared.domain.stored_object import BodyMismatch
from shared.domain.transition import TransitionRefused

_STATUSES: Mapping[type[Exception], tuple[int, str]] = {
    refusals.InvalidRequest: (400, "invalid_request"),
    refusals.InvalidNow: (400, "invalid_request"),
    refusals.EmptyChunk: (400, "empty_chunk"),
    refusals.NotPlainAudio: (400, "not_plain_audio"),
    refusals.NotStreaming: (400, "not_a_streaming_recording"),
    refusals.UploadIncomplete: (400, "upload_incomplete"),
    refusals.RecordingNotReady: (400, "recording_not_ready"),
    refusals.UnsupportedLanguage: (400, "unsupported_language"),
    refusals.ProviderNotConfigured: (400, "provider_not_configured"),
    refusals.Unauthorized: (401, "unauthorized"),
    refusals.Forbidden: (403, "forbidden"),
    refusals.EncryptionRequired: (403, "encrypted_upload_required"),
    refusals.UploadUrlExpired: (403, "upload_url_expired"),
    refusals.NotFound: (404, "not_found"),
    refusals.RecordingNotFound: (404, "recording_not_found"),
    refusals.IdempotencyInProgress: (409, "idempotency_in_progress"),
    refusals.IdempotencyKeyReused: (409, "idempotency_key_reuse"),
    refusals.ResourceAlreadyExists: (409, "resource_already_exists"),
    refusals.DeviceAlreadyBound: (409, "device_already_bound"),
    refusals.DeviceNotBound: (409, "device_not_bound"),
    refusals.ChunkCountMismatch: (409, "chunk_count_mismatch"),
    refusals.AlreadyFinalized: (409, "already_finalized"),
    refusals.ContentMismatch: (409, "content_hash_mismatch"),
    refusals.SizeMismatch: (409, "content_size_mismatch"),
    refusals.TranscriptionInProgress: (409, "transcription_in_progress"),
    refusals.TranscriptionEnded: (409, "transcription_ended"),
    refusals.TranscriptionNotCompleted: (409, "transcription_not_completed"),
    refusals.LimitReached: (409, "limit_reached"),
    refusals.EndpointDisabled: (409, "endpoint_disabled"),
    refusals.LengthRequired: (411, "length_required"),
    refusals.PayloadTooLarge: (413, "payload_too_large"),
    refusals.UrlTooLong: (414, "url_too_long"),
    refusals.CodedBody: (415, "unsupported_media_type"),
    refusals.VerificationPending: (425, "verification_pending"),
    refusals.TooManyStreams: (429, "too_many_streams"),
    refusals.RateLimitExceeded: (429, "rate_limit_exceeded"),
    refusals.HeadersTooLarge: (431, "headers_too_large"),
    refusals.ClientGone: (499, "client_closed_request"),
    BodyMismatch: (400, "invalid_request"),
    TransitionRefused: (409, "conflict"),
    Exception: (500, "internal_error"),
    TransientFailure: (503, "service_unavailable"),
}

# What the framework itself refuses, by status.
_FRAMEWORK_CODES: Mapping[int, str] = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
}
_FRAMEWORK_MESSAGES: Mapping[int, str] = {
    404: "there is nothing here",
    405: "this method is not served here",
    413: f"a JSON body may be {MAX_BODY_BYTES} bytes at most",
    500: "the server failed",
}
_MISSING = re.compile(r"Missing required \w+ parameter '([^']+)'")
_RETRY_AFTER_S = 5
_OF_THE_MOMENT = (TransitionRefused, BodyMismatch)


class ErrorView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The inside of the envelope; `type` repeats `code` for older clients."""

    code: str
    type: str
    message: str
    param: str | None = None
    details: Mapping[str, Any] | None = None
    request_id: str


class ErrorEnvelope(msgspec.Struct):
    """What every answer that is not 2xx carries."""

    error: ErrorView


class Problem(msgspec.Struct, kw_only=True):
    """An error as HTTP shows it."""

    status: int
    code: str
    message: str
    param: str | None = None
    details: Mapping[str, Any] | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)


def problem_of(error: Exception) -> Problem:
    """Say what `error` is in HTTP; whatever is not known is the server's own fault and says nothing of itself."""
    for kind, describe in _DESCRIPTIONS:
        if isinstance(error, kind):
            return describe(error)
    return _problem(Exception, "the server failed; the request id helps to find out why")


def status_and_code(kind: type[Exception]) -> tuple[int, str]:
    """Return what errors of this kind become; `Exception` itself stands for the server's own faults."""
    return _STATUSES[kind]


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[ErrorEnvelope]:
    """Answer in the envelope; the request's log line tells the code, and the stack when the fault is ours."""
    if isinstance(error, MethodNotAllowedException) and is_left_out(request.scope["path"]):
        error = NotFoundException()
    problem = problem_of(error)
    if isinstance(error, ValidationException):  # of a parameter
        wanted = request.route_handler.parsed_fn_signature.parameters.get(problem.param or "")
        problem.message = with_choices(problem.message, wanted and wanted.annotation)
    context = context_of(request.scope)
    context.fail(problem.code, error, unexpected=problem.status >= 500)  # noqa: PLR2004 - the server's faults
    context.may_pass = error.may_pass if isinstance(error, refusals.Refused) else isinstance(error, _OF_THE_MOMENT)
    envelope = envelope_of(problem, context.request_id)
    return Response(envelope, status_code=problem.status, headers=problem.headers, media_type="application/json")


def envelope_of(problem: Problem, request_id: str) -> ErrorEnvelope:
    """Return the body that tells of `problem`."""
    view = ErrorView(
        code=problem.code,
        type=problem.code,
        message=problem.message,
        param=problem.param,
        details=problem.details,
        request_id=request_id,
    )
    return ErrorEnvelope(view)


def _problem(kind: type[Exception], message: str, **more: Any) -> Problem:  # noqa: ANN401 - the other fields of a problem
    status, code = status_and_code(kind)
    return Problem(status=status, code=code, message=message, **more)


def _refused(error: refusals.Refused) -> Problem:
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if isinstance(error, refusals.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return _problem(type(error), error.message, param=error.param, details=error.details, headers=headers)


def _unavailable(_error: TransientFailure) -> Problem:
    message = "something this needs does not answer; this was done whole or not at all, try again"
    return _problem(TransientFailure, message, headers={"Retry-After": str(_RETRY_AFTER_S)})


def _wrong_moment(error: TransitionRefused) -> Problem:
    return _problem(TransitionRefused, str(error), details={"current_status": error.present, "wanted": error.wanted})


def _cut_short(_error: BodyMismatch) -> Problem:
    return _problem(BodyMismatch, "the body is not as long as its Content-Length; nothing was stored")


def _invalid(error: ValidationException) -> Problem:
    extra = error.extra if isinstance(error.extra, list) and error.extra else [{}]
    first = extra[0] if isinstance(extra[0], dict) else {}
    message = str(first.get("message") or error.detail)
    return Problem(status=400, code="invalid_request", message=message, param=first.get("key") or _missing(error.detail))


def _missing(detail: str) -> str | None:
    """Return the name of a required parameter that did not come, which the framework says in its message alone."""
    found = _MISSING.match(detail)
    return found and found[1]


def _framework(error: HTTPException) -> Problem:
    status = error.status_code
    code = _FRAMEWORK_CODES.get(status, "internal_error" if status >= 500 else "invalid_request")  # noqa: PLR2004
    message = _FRAMEWORK_MESSAGES.get(status) or error.detail or code.replace("_", " ")
    headers = {"Allow": _allowed(error)} if isinstance(error, MethodNotAllowedException) else {}
    return Problem(status=status, code=code, message=message, headers=headers)


def _allowed(error: MethodNotAllowedException) -> str:
    """Return the methods that are served: HEAD wherever GET is, OPTIONS nowhere (`edge.py`)."""
    listed = (error.headers or {}).get("allow", "").split(", ")
    methods = {method for method in listed if method} - {"OPTIONS"}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


_DESCRIPTIONS: tuple[tuple[type[Exception], Callable[[Any], Problem]], ...] = (
    (refusals.Refused, _refused),
    (TransientFailure, _unavailable),
    (TransitionRefused, _wrong_moment),
    (BodyMismatch, _cut_short),
    (ValidationException, _invalid),
    (HTTPException, _framework),
)
