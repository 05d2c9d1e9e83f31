"""A customer's server: real HTTP on loopback that answers by script; and signatures checked by the contract's words alone."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections import deque

import msgspec
from aiohttp import web


class Heard(msgspec.Struct, frozen=True):
    """One request as it came."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float

    def header(self, name):
        """Return the one header of that name."""
        (value,) = [value for key, value in self.headers if key.lower() == name.lower()]
        return value

    def has(self, name):
        return any(key.lower() == name.lower() for key, _ in self.headers)

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """Answers each request by the next entry of `script` (a status, or a coroutine function), then by `default`."""

    def __init__(self, *script, default=200):
        self.script = deque(script)
        self.default = default
        self.heard = []
        self.running = 0
        self.most_running = 0
        self._news = asyncio.Event()
        self._runner = None
        self._port = 0
        self._scheme = "http"

    async def start(self, ssl_context=None, port=0):
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=ssl_context)
        await site.start()
        self._port = site._server.sockets[0].getsockname()[1]
        self._scheme = "https" if ssl_context else "http"
        return self

    async def stop(self):
        await self._runner.cleanup()

    @property
    def port(self):
        return self._port

    def url(self, path="/hook", host="127.0.0.1"):
        return f"{self._scheme}://{host}:{self._port}{path}"

    def of(self, event_id):
        return [heard for heard in self.heard if heard.header("webhook-id") == event_id]

    async def received(self, count, within_s=60.0):
        """Return what was heard once that is `count` requests or more."""
        async with asyncio.timeout(within_s):
            while len(self.heard) < count:
                self._news.clear()
                await self._news.wait()
        return list(self.heard)

    async def _answer(self, request):
        body = await request.read()
        headers = tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in request.raw_headers)
        self.heard.append(Heard(request.path, headers, body, time.time()))
        self._news.set()
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            answer = self.script.popleft() if self.script else self.default
            return web.Response(status=answer) if isinstance(answer, int) else await answer(request)
        finally:
            self.running -= 1


async def eventually(fact, within_s=60.0):
    """Return what `fact` (plain or a coroutine function) answers once that is true."""
    async with asyncio.timeout(within_s):
        while True:
            found = fact()
            found = await found if asyncio.iscoroutine(found) else found
            if found:
                return found
            await asyncio.sleep(0.01)


def platform_signature(secret, heard):
    """What `X-Bota-Signature` must be, from the contract: hex HMAC-SHA256, keyed by the literal secret, of timestamp.body."""
    signed = heard.header("X-Bota-Timestamp").encode() + b"." + heard.body
    return "v1=" + hmac.new(secret.encode("utf-8"), signed, hashlib.sha256).hexdigest()


def standard_signature(secret, heard):
    """What `webhook-signature` must hold, from the Standard Webhooks text: base64 HMAC-SHA256 of id.timestamp.body."""
    key = base64.b64decode(secret.split("_", 1)[1])
    signed = f"{heard.header('webhook-id')}.{heard.header('webhook-timestamp')}.".encode() + heard.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def assert_signed(secret, heard, *, now=None):
    """Fail unless the request carries both signatures of `secret`, fresh, and one event id."""
    assert heard.header("X-Bota-Signature") == platform_signature(secret, heard)
    assert standard_signature(secret, heard) in heard.header("webhook-signature").split(" ")
    assert heard.header("X-Bota-Timestamp") == heard.header("webhook-timestamp")
    assert abs(int(heard.header("X-Bota-Timestamp")) - (now or heard.at)) <= 5
    assert heard.json["id"] == heard.header("webhook-id") == heard.header("X-Bota-Event-Id")
