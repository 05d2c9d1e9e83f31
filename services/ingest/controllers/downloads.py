"""`/v1/recordings/{id}/download-url`: URLs by which stored files are read."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from services.ingest import refusals
from services.ingest.api_request import ApiRequest, requires
from services.ingest.bodies import RequestDownload
from services.ingest.offer_download import OfferDownload
from services.ingest.views.downloads import DownloadUrlView, download_url_view


class DownloadController(Controller):
    """Files that come from the object store past the API."""

    path = "/v1/recordings/{recording_id:str}/download-url"
    tags = ("Uploads",)

    @post("/", status_code=200, guards=[requires("recordings:read")], refuses=[refusals.NotFound, refusals.RecordingNotReady])
    async def of_media(
        self,
        request: ApiRequest,
        recording_id: FromPath[str],
        data: JSONBody[RequestDownload],
        offer_download: NamedDependency[OfferDownload],
    ) -> DownloadUrlView:
        """Return a URL that reads one of the recording's files."""
        return download_url_view(await offer_download(request.caller, recording_id, data.media_id))

    @get("/", guards=[requires("recordings:read")], refuses=[refusals.NotFound, refusals.RecordingNotReady])
    async def of_audio(
        self, request: ApiRequest, recording_id: FromPath[str], offer_download: NamedDependency[OfferDownload]
    ) -> DownloadUrlView:
        """Return a URL that reads the recording's audio."""
        return download_url_view(await offer_download(request.caller, recording_id))
