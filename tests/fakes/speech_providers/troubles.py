"""What a fake speech service goes through before it answers: a trouble is awaited with the request in place of the answer."""

import asyncio

from aiohttp import web


def status(code, body=None, **headers):
    """Return a trouble: an answer of this status."""

    async def answer(_request):
        return web.json_response(
            body or {"error": "no"}, status=code, headers={name.replace("_", "-"): str(value) for name, value in headers.items()}
        )

    return answer


async def not_json(_request):
    """Answer as a proxy in between does."""
    return web.Response(text="<html>bad gateway</html>", content_type="text/html")


async def malformed(_request):
    """Answer JSON of another form."""
    return web.json_response({"results": [], "id": 5, "words": "none"})


async def cut_off(request):
    """Begin an answer and close the connection in the middle of it."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"metadata": {')
    request.transport.abort()
    return response


async def dripping(request):
    """Begin an answer, say a byte now and then, and never end."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def silent(_request):
    """Take the request and never answer."""
    await asyncio.sleep(3600)
