"""S3 over HTTP: pooled, signed, bounded retries; every failure of the store gets one of our names.

Requests go through aiohttp, but small PUTs and listings (every chunk of a streaming upload, every finalize) through the leaner
`s3_wire`.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import msgspec
from aiohttp import hdrs
from yarl import URL

from shared.domain.stored_object import ObjectStoreRefused, ObjectStoreUnavailable
from shared.settings import S3Settings
from shared.storage.object_bodies import SILENCE_S, Content, MeasuredBody, Pieces
from shared.storage.s3_answers import BUSY_CODES, error_code
from shared.storage.s3_wire import WireLimits, Wires
from shared.storage.signing import UNSIGNED_PAYLOAD, Endpoint, Signer, Target, object_path, query_string

OK = frozenset({200, 204, 206})
ATTEMPTS = 3
FIRST_DELAY_S = 0.1
CONNECTIONS = 128
CONNECT_TIMEOUT_S = 5.0
CHECK_TIMEOUT_S = 2.0
KEEP_ALIVE_S = 10.0  # below the idle time of any store, so that a pooled connection is alive
READ_BUFFER_BYTES = 512 * 1024
_BUSY_STATUSES = frozenset({408, 429})


class S3Request(msgspec.Struct, frozen=True):
    """One request; an empty `key` means the bucket. Any status outside `accepts` is a failure.

    A body in pieces, be they none, is that of a small request with a small answer.
    """

    method: str
    key: str = ""
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: Content | MeasuredBody | None = None
    accepts: frozenset[int] = OK

    @property
    def replayable(self) -> bool:
        """Whether it can be sent again."""
        return not isinstance(self.body, MeasuredBody) or self.body.replayable


class S3Answer(msgspec.Struct, frozen=True):
    """A small answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class S3Connection:
    """A pool of connections to one bucket; path-style, so it works wherever the store is."""

    def __init__(self, settings: S3Settings) -> None:
        self._endpoint = Endpoint(settings.s3_endpoint)
        self._bucket = settings.s3_bucket
        self._signer = Signer(settings.s3_access_key, settings.s3_secret_key, settings.s3_region)
        self._session: aiohttp.ClientSession | None = None
        limits = WireLimits(connections=CONNECTIONS, connect_s=CONNECT_TIMEOUT_S, answer_s=SILENCE_S, idle_s=KEEP_ALIVE_S)
        self._wires = Wires(self._endpoint.origin, limits)

    async def start(self) -> None:
        """Open the pool; connects to nothing yet."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=30),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
                auto_decompress=False,
                read_bufsize=READ_BUFFER_BYTES,
            )

    async def stop(self) -> None:
        """Close every connection; requests in flight end with `ObjectStoreUnavailable`."""
        self._wires.stop()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def check(self) -> None:
        """Ask once for the bucket, without retries; raise within two seconds when it can not be used."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_S):
                await self.answer(S3Request("HEAD"), attempts=1)
        except TimeoutError as error:
            raise ObjectStoreUnavailable(f"no answer from the object store within {CHECK_TIMEOUT_S} s") from error

    async def answer(self, request: S3Request, attempts: int = ATTEMPTS) -> S3Answer:
        """Return the accepted answer; `attempts` tries with growing, jittered pauses, as far as the body can be replayed.

        No try begins when as long has passed as a silent store is given: whoever asked would be gone before it ends.
        """
        began = time.monotonic()
        for attempt in range(1, attempts + 1):
            try:
                return await self._answer_once(request)
            except ObjectStoreUnavailable:
                if attempt == attempts or not request.replayable or time.monotonic() - began >= SILENCE_S:
                    raise
            await pause_before(attempt + 1)
        raise AssertionError("at least one attempt")

    async def _answer_once(self, request: S3Request) -> S3Answer:
        if isinstance(request.body, tuple):
            return await self._exchange(request, request.body)
        async with self.open(request) as response:
            return S3Answer(response.status, response.headers, await response.read())

    async def _exchange(self, request: S3Request, body: Pieces) -> S3Answer:
        what = f"{request.method} {request.key or self._bucket}"
        target, signed = self._signed(request)
        headers = {hdrs.HOST: self._endpoint.host, **signed}
        if request.method != hdrs.METH_GET:
            headers[hdrs.CONTENT_LENGTH] = str(sum(map(len, body)))
        try:
            answer = await self._wires.exchange(request_head(f"{request.method} {target}", headers), *body)
        except OSError as error:
            raise ObjectStoreUnavailable(f"{what}: no answer from the object store ({error!r})") from error
        if answer.status not in request.accepts:
            raise _failure(what, answer.status, answer.body)
        return S3Answer(answer.status, answer.headers, answer.body)

    @asynccontextmanager
    async def open(self, request: S3Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send once and give the accepted response to be read; the body's own fault is raised as it is."""
        what = f"{request.method} {request.key or self._bucket}"
        try:
            async with asyncio.timeout(2 * SILENCE_S if isinstance(request.body, bytes) else None) as limit:
                if isinstance(request.body, MeasuredBody):
                    request.body.limit = limit
                async with self._send(request) as response:
                    if response.status not in request.accepts:
                        raise _failure(what, response.status, await response.read())
                    yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            if isinstance(request.body, MeasuredBody) and request.body.fault is not None:
                raise request.body.fault from None
            raise ObjectStoreUnavailable(f"{what}: no answer from the object store ({error!r})") from error

    def _send(self, request: S3Request) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("the object store is not started")
        target, headers = self._signed(request)
        if isinstance(request.body, MeasuredBody):
            headers[hdrs.CONTENT_LENGTH] = str(request.body.size_bytes)
        url = URL(self._endpoint.origin + target, encoded=True)
        return self._session.request(request.method, url, headers=headers, data=request.body, allow_redirects=False)

    def _signed(self, request: S3Request) -> tuple[str, dict[str, str]]:
        """Return the target with its query, and the headers that authorize the request, with its own."""
        path, query = object_path(self._bucket, request.key), query_string(request.query)
        amz = {name: value for name, value in request.headers.items() if name.startswith("x-amz-")}  # all of which are signed
        target = Target(request.method, path, query, amz)
        headers = self._signer.headers(self._endpoint.host, target, UNSIGNED_PAYLOAD, datetime.now(UTC))
        headers.update(request.headers)
        return f"{path}?{query}" if query else path, headers


async def pause_before(attempt: int) -> None:
    """Wait before try number `attempt` (from 2): 0.1 s, doubling fourfold, half of it by chance."""
    await asyncio.sleep(FIRST_DELAY_S * 4 ** (attempt - 2) * random.uniform(0.5, 1))  # noqa: S311  # jitter, not a secret


def request_head(line: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request; a ValueError for a header that would end its line."""
    lines = [f"{line} HTTP/1.1", *[f"{name}: {value}" for name, value in headers.items()], "", ""]
    head = "\r\n".join(lines)
    if not head.count("\r") == head.count("\n") == len(lines) - 1:
        raise ValueError("a header may not hold a line break")
    return head.encode()


def _failure(what: str, status: int, body: bytes) -> Exception:
    code = error_code(body) or "no reason given"
    message = f"{what}: {status} {code}"
    if status >= 500 or status in _BUSY_STATUSES or code.startswith(BUSY_CODES):  # noqa: PLR2004  # the server's fault
        return ObjectStoreUnavailable(message)
    return ObjectStoreRefused(message)
