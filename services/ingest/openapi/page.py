"""The page that shows the document and tries it out: Swagger UI, served by us, in need of nothing from elsewhere."""

import asyncio
from functools import cache
from importlib.metadata import distribution

import msgspec

_PACKAGE, _FOLDER = "swagger-ui-py", "swagger_ui/static"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts and styles of our own origin only, none in the page itself; requests to this installation only."""

_PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Earwitness API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<script src="docs/swagger-ui-bundle.js" defer></script>
<script src="docs/start.js" defer></script>
</head>
<body>
<noscript>This page needs JavaScript; the document is at <a href="openapi.json">openapi.json</a>.</noscript>
<main id="ui"></main>
</body>
</html>
"""
_START = b"""SwaggerUIBundle({
  url: new URL("../openapi.json", document.currentScript.src).href,
  dom_id: "#ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  validatorUrl: null
});
"""
_TYPES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}


class Asset(msgspec.Struct, frozen=True):
    """A file that a browser asks for."""

    content: bytes
    media_type: str


PAGE = Asset(_PAGE, "text/html; charset=utf-8")
"""The page itself."""

PAGE_IN_FOLDER = Asset(_PAGE.replace(b'"docs/', b'"').replace(b'"openapi.json"', b'"../openapi.json"'), PAGE.media_type)
"""The page for whoever asks for it with a slash at the end: relative links begin there one level further down."""


async def asset(name: str) -> Asset | None:
    """Return what the page asks for by this name, None for anything else; a file is read once."""
    if name == "start.js":
        return Asset(_START, "text/javascript; charset=utf-8")
    if name not in _TYPES:
        return None
    return Asset(await asyncio.to_thread(_read, name), _TYPES[name])


@cache
def _read(name: str) -> bytes:
    path = distribution(_PACKAGE).locate_file(f"{_FOLDER}/{name}")
    with open(str(path), "rb") as file:  # noqa: PTH123 - what `locate_file` returns need not be a `Path`
        return file.read()
