"""What fake speech services have in common: they note what they are asked, and refuse who has no key."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.fakes.speech_providers.sounds import the_same

KEY = "provider-key-for-tests"


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    json: dict | None = None
    form: dict = field(default_factory=dict)
    pairs: list = field(default_factory=list)  # every field of query and form, also those that are there more than once


class FakeProvider:
    """Answers as `routes` say, who has the `key`, of what `ears` hear; before that it goes through `troubles`, one a request."""

    def __init__(self, *, key=KEY, ears=the_same):
        self.key, self.ears = key, ears
        self.asked: list[Asked] = []
        self.troubles: list = []
        self.added_headers: dict[str, str] = {}
        self.url = ""

    def routes(self):
        raise NotImplementedError

    def authorized(self, request):
        raise NotImplementedError

    def unauthorized(self):
        """Return the answer to who has no key."""
        raise NotImplementedError

    @asynccontextmanager
    async def running(self, port=0):
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.add_routes([web.route(method, path, self._guarded(handler)) for method, path, handler in self.routes()])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def _guarded(self, handler):
        async def answer(request):
            asked = await _asked(request)
            self.asked.append(asked)
            if self.troubles:
                trouble = self.troubles.pop(0)
                return await trouble(request)
            if not self.authorized(request):
                return self.unauthorized()
            answered = await handler(request, asked)
            answered.headers.update(self.added_headers)
            return answered

        return answer


async def _asked(request):
    asked = Asked(request.method, request.path, dict(request.query), dict(request.headers), pairs=list(request.query.items()))
    if request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            content = await part.read()
            asked.form[part.name] = (
                (part.filename, part.headers.get("Content-Type"), content) if part.filename else content.decode()
            )
            asked.pairs.append((part.name, asked.form[part.name]))
    else:
        asked.body = await request.read()
        if request.content_type == "application/json" and asked.body:
            asked.json = await request.json()
    return asked
