"""Posts over pooled aiohttp connections; whatever a receiver does is bounded in time and size."""

import asyncio
import errno
import math
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from services.webhooks.ports import Answer
from services.webhooks.targets import AddressRefused, Targets
from shared.domain.delivery import AttemptError

USER_AGENT = "Earwitness-Webhooks/1.0"
EXCERPT_BYTES = 1024
READ_MOST_BYTES = 64 * 1024  # of a longer answer the rest is not read, and the connection is closed
READ_MOST_S = 2.0
HEADER_MOST_BYTES = 32 * 1024  # of one header of an answer: some gateways put more in one than the 8 KiB that are usual
KEEP_ALIVE_S = 30.0
MOST_IDLE = 256  # connections kept for the next request: with those in use far fewer than the 1024 files that a process may open
DNS_CACHE_S = 10  # addresses are checked when they are found, so what is cached is checked
_END_OF_HEAD = b"\r\n\r\n"
_NO_MORE_FILES = frozenset({errno.EMFILE, errno.ENFILE})


_ERRORS: dict[type[Exception], AttemptError] = {
    AddressRefused: AttemptError.ADDRESS_REFUSED,
    TimeoutError: AttemptError.TIMEOUT,
    aiohttp.ClientSSLError: AttemptError.TLS_FAILED,
    ssl.SSLError: AttemptError.TLS_FAILED,
    aiohttp.ClientConnectorDNSError: AttemptError.DNS_FAILED,
    aiohttp.InvalidURL: AttemptError.INVALID_URL,
    aiohttp.ClientConnectionError: AttemptError.CONNECTION_FAILED,
    aiohttp.ClientError: AttemptError.INVALID_RESPONSE,
    OSError: AttemptError.CONNECTION_FAILED,
    UnicodeError: AttemptError.DNS_FAILED,  # a name that no name can be
    ValueError: AttemptError.INVALID_URL,
}
"""What our client raises, by the first kind that fits."""


class SenderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How we connect; `ca_file` holds further certificate authorities to trust."""

    timeout_s: float = 30.0
    ca_file: Path | None = None


class HttpSender:
    """Holds the connections; one per process, opened by `start`."""

    def __init__(self, settings: SenderSettings, targets: Targets) -> None:
        self._settings, self._targets = settings, targets
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Make the pool; nothing connects yet."""
        trust = ssl.create_default_context()
        if self._settings.ca_file is not None:
            trust.load_verify_locations(self._settings.ca_file)
        self._session = aiohttp.ClientSession(
            connector=_Connector(
                resolver=self._targets,
                ssl=trust,
                limit=0,  # the dispatcher's slots are the limit
                keepalive_timeout=KEEP_ALIVE_S,
                ttl_dns_cache=DNS_CACHE_S,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            trace_configs=[_reuse_trace()],
            auto_decompress=False,
            max_field_size=HEADER_MOST_BYTES,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
        await self._targets.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, within_s: float = math.inf) -> Answer:
        """Post once and return what came of it within the time limit, or sooner; redirects are not followed."""
        until = asyncio.get_running_loop().time() + min(within_s, self._settings.timeout_s)
        try:
            return await self._post(URL(url), headers, body, until)
        except tuple(_ERRORS) as failure:
            return Answer(error=_error_of(failure))

    async def _post(self, url: URL, headers: Mapping[str, str], body: bytes, until: float) -> Answer:
        if url.scheme not in ("http", "https") or not url.host:
            raise aiohttp.InvalidURL(url)
        self._targets.check_literal(url)
        use = SimpleNamespace(reused=False, until=until)
        try:
            return await self._exchange(url, headers, body, use)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientResponseError):
            if not use.reused:
                raise
        # The receiver closed an idle connection while we took it from the pool, or what came was the rest of its last answer:
        # no answer of its own, so ask again.
        return await self._exchange(url, headers, body, SimpleNamespace(reused=False, until=until))

    async def _exchange(self, url: URL, headers: Mapping[str, str], body: bytes, use: SimpleNamespace) -> Answer:
        if self._session is None:
            raise RuntimeError("the sender is not started")
        fixed = {"Content-Type": "application/json", "User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        request = self._session.post(url, data=body, headers={**fixed, **headers}, allow_redirects=False, trace_request_ctx=use)
        async with asyncio.timeout_at(use.until):
            response = await request
        async with response:
            return Answer(
                status_code=response.status,
                response=await _excerpt(response, use.until),
                retry_after=response.headers.get("Retry-After"),
            )


class _HeadFirst(ResponseHandler):
    """Reads the head of an answer by itself: aiohttp forgets it when anything that came with it, behind it, is not HTTP."""

    _last = b""  # what came last may be the beginning of the end of a head

    def data_received(self, data: bytes) -> None:
        """Hand on what came, in two where a head may end in it."""
        end = (self._last + data).find(_END_OF_HEAD)
        cut = len(data) if end < 0 else end + len(_END_OF_HEAD) - len(self._last)
        self._last = (self._last + data)[1 - len(_END_OF_HEAD) :]
        super().data_received(data[:cut])
        if cut < len(data):
            super().data_received(data[cut:])


class _Connector(aiohttp.TCPConnector):
    """Makes connections that read so, and keeps a bounded number of them, however many receivers there are."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of aiohttp
        super().__init__(**options)
        self._factory = partial(_HeadFirst, loop=self._loop)  # type: ignore[assignment]  # a partial is invariant

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        kept = sum(map(len, self._conns.values()))
        super()._release(key, protocol, should_close=should_close or kept >= MOST_IDLE)


def _error_of(failure: Exception) -> AttemptError:
    if isinstance(failure, OSError) and failure.errno in _NO_MORE_FILES:
        return AttemptError.INTERNAL_ERROR  # here, and nothing that the receiver could have done better
    return next(error for kind, error in _ERRORS.items() if isinstance(failure, kind))


async def _excerpt(response: aiohttp.ClientResponse, until: float) -> str:
    """Return the beginning of the body, as much of it as has come by then or is read in two seconds.

    The status is what counts: a body that is slow, long or broken changes nothing.
    """
    kept = b""
    read = 0
    try:
        async with asyncio.timeout_at(min(until, asyncio.get_running_loop().time() + READ_MOST_S)):
            async for piece in response.content.iter_any():
                kept += piece[: EXCERPT_BYTES - len(kept)]
                read += len(piece)
                if read > READ_MOST_BYTES:
                    response.close()
                    break
    except (TimeoutError, aiohttp.ClientError, OSError):
        response.close()
    return kept.decode(errors="replace")


def _reuse_trace() -> aiohttp.TraceConfig:
    """Note in a request's context that it went over a connection used before."""

    async def on_reuse(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _params: aiohttp.TraceConnectionReuseconnParams
    ) -> None:
        context.trace_request_ctx.reused = True

    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(on_reuse)
    return trace
