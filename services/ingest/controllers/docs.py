"""`/openapi.json` and `/docs`: the description of the API, and a page to read and try it; no credential."""

import asyncio

from litestar import Controller, Response, get
from litestar.params import FromPath

from services.ingest.api_request import ApiRequest
from services.ingest.openapi.document import Document
from services.ingest.openapi.page import CONTENT_SECURITY_POLICY, PAGE, PAGE_IN_FOLDER, Asset, asset
from services.ingest.refusals import not_found

_FRESH = {"Cache-Control": "no-cache"}
_KEPT = {"Cache-Control": "max-age=86400"}
_PROTECTED = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class DocsController(Controller):
    """The document and its page."""

    path = "/"
    tags = ("Operations",)

    @get("/openapi.json", answers={"application/json": {"schema": {"type": "object"}}})
    async def document(self, request: ApiRequest) -> Response[bytes]:
        """Describe the API in OpenAPI 3.1."""
        document: Document = request.app.state.document
        content = await asyncio.to_thread(getattr, document, "content")  # the first time it is made: half a second of work
        return Response(content, media_type="application/json", headers=_FRESH)

    @get("/docs", answers={"text/html": {"schema": {"type": "string"}}})
    async def page(self, request: ApiRequest) -> Response[bytes]:
        """Show the description, to read and to try out; nothing on the page comes from elsewhere."""
        return _shown(PAGE_IN_FOLDER if request.scope["raw_path"].endswith(b"/") else PAGE, _FRESH)

    @get("/docs/{asset_name:str}", answers={"*/*": {"schema": {}}})
    async def file(self, asset_name: FromPath[str]) -> Response[bytes]:
        """Return what the page consists of."""
        found = await asset(asset_name)
        if found is None:
            raise not_found("page")
        return _shown(found, _KEPT)


def _shown(found: Asset, headers: dict[str, str]) -> Response[bytes]:
    return Response(found.content, headers=headers | _PROTECTED | {"Content-Type": found.media_type})
