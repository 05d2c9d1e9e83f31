"""`/v1/recordings/{id}/upload-url` and `upload-complete`: uploads of whole files."""

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from services.ingest import bodies, refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.complete_upload import CompleteUpload
from services.ingest.rates.limiter import Bucket
from services.ingest.request_upload import RequestUploadUrl
from services.ingest.views.recordings import UploadUrlView, completed_view, upload_url_view
from shared.domain.caller import CredentialKind
from shared.events.resources import RecordingResource

_REFUSES = [
    refusals.NotFound,
    refusals.UploadIncomplete,
    refusals.VerificationPending,
    refusals.ContentMismatch,
    refusals.SizeMismatch,
]


class UploadController(Controller):
    """Files that go to the object store past the API."""

    path = "/v1/recordings/{recording_id:str}"
    tags = ("Uploads",)

    @post(
        "/upload-url",
        status_code=200,
        guards=[requires("recordings:write", device=True)],
        refuses=[refusals.NotFound, refusals.LimitReached, refusals.VerificationPending],
        bucket=Bucket.UPLOAD_URLS,
    )
    async def request_url(
        self,
        request: ApiRequest,
        recording_id: FromPath[str],
        data: JSONBody[bodies.RequestUpload],
        request_upload_url: NamedDependency[RequestUploadUrl],
    ) -> UploadUrlView:
        """Announce a file and return the URL that stores it."""
        return upload_url_view(await request_upload_url(request.caller, recording_id, data, request.context.claim))

    @post(
        "/upload-complete",
        status_code=200,
        guards=[requires("recordings:write", device=True, upload=True)],
        refuses=_REFUSES,
    )
    async def complete(
        self,
        request: ApiRequest,
        recording_id: FromPath[str],
        data: JSONBody[bodies.CompleteUpload],
        complete_upload: NamedDependency[CompleteUpload],
    ) -> RecordingResource:
        """Say that every announced file is stored."""
        recording = await complete_upload(request.caller, recording_id, data, request.context.claim)
        return completed_view(recording, replayed=_may_be_a_repeat(request, data))


class UploadAliasController(Controller):
    """The same completion by another name: of a file, or of the recording it belongs to."""

    path = "/v1/uploads"
    tags = ("Uploads",)

    @post(
        "/{upload_id:str}/complete",
        status_code=200,
        guards=[requires("recordings:write", device=True, upload=True)],
        refuses=_REFUSES,
    )
    async def complete(
        self,
        request: ApiRequest,
        upload_id: FromPath[str],
        data: JSONBody[bodies.CompleteUpload],
        complete_upload: NamedDependency[CompleteUpload],
    ) -> RecordingResource:
        """Say that every announced file of the recording is stored."""
        recording_id = await complete_upload.recording_of(request.caller, upload_id)
        recording = await complete_upload(request.caller, recording_id, data, request.context.claim)
        return completed_view(recording, replayed=_may_be_a_repeat(request, data))


def _may_be_a_repeat(request: ApiRequest, data: bodies.CompleteUpload) -> bool:
    by_token = request.caller.kind is CredentialKind.UPLOAD_TOKEN
    return data.content_sha256 is not None or by_token or request.context.claim is not None
