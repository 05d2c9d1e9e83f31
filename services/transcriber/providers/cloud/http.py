"""One exchange with a provider: bounded in time and size, its refusals brought into our closed list of reasons."""

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from services.transcriber.cloud_ports import ProviderUnavailable
from shared.domain.clock import http_date, now
from shared.domain.errors import FailureReason, PermanentFailure

MAX_ANSWER_BYTES = 256 * 1024 * 1024  # ten hours of words with times are about 40 MB
HEADER_MOST_BYTES = 32 * 1024  # of one header of an answer: what stands in between may put more in one than is usual
CONNECT_S = 15.0
SILENCE_S = 60.0
ANSWER_S = 900.0  # from its first byte to its last
EXCHANGE_S = 6 * 3600.0  # a whole exchange, the sending of the largest file included
LONGEST_WAIT_S = 3600.0
_OK = range(200, 300)
_BUSY = frozenset({408, 409, 425, 429})
_KEY_REFUSED = frozenset({401, 403})
_OUT_OF_CREDIT = 402
_WRONG_MEDIA = 415
_SERVER = 500
_OF_A_PROXY = frozenset({502, 504, 520, 522, 524})  # something in between gave up (52x: Cloudflare); what stands behind may go on

T = TypeVar("T")


class ProviderHttp:
    """Exchanges with one provider at `base_url`. Redirects are refused: they would carry the key elsewhere.

    A provider may be silent for `silence_s`, and take `answer_s` for an answer once it has begun: one that says a byte now and
    then holds nobody up for ever.
    """

    def __init__(self, name: str, base_url: str, *, silence_s: float = SILENCE_S, answer_s: float = ANSWER_S) -> None:
        self.name, self._base, self._answer_s = name, base_url.rstrip("/"), answer_s
        self._timeout = _timeout(silence_s)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, method: str, path: str, form: type[T], *, patience_s: float | None = None, **options: Any) -> T:  # noqa: ANN401 - aiohttp's own
        """Return the answer as `form`; `patience_s` is how long the provider may stay silent while it works."""
        body = await self.exchange(method, path, patience_s=patience_s, **options)
        return self.read(body, form)

    def read(self, body: bytes, form: type[T]) -> T:
        """Return `body` as `form`; unknown keys are passed over."""
        try:
            return msgspec.json.decode(body, type=form)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProviderUnavailable(f"{self.name} answered what is not in its documented form: {str(error)[:200]}") from error

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        patience_s: float | None = None,
        absent: frozenset[int] = frozenset(),
        **options: Any,  # noqa: ANN401 - as above
    ) -> bytes:
        """Return a successful answer's body (JSON or empty), for a status in `absent` an empty one; else raises what was said."""
        if patience_s is not None:
            options["timeout"] = _timeout(patience_s)
        try:
            async with self._open().request(method, self._base + path, allow_redirects=False, **options) as answer:
                async with asyncio.timeout(self._answer_s):
                    body = await _whole(answer)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            unreached = isinstance(error, aiohttp.ClientConnectorError)
            raise ProviderUnavailable(f"{self.name} did not answer: {type(error).__name__}", untaken=unreached) from error
        if answer.status in absent:
            return b""
        if answer.status not in _OK:
            raise self._refusal(answer.status, answer.headers, body)
        if body and "json" not in answer.headers.get("Content-Type", ""):
            raise ProviderUnavailable(f"{self.name} answered {answer.headers.get('Content-Type', 'nothing')[:80]}, not JSON")
        return body

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            fresh = aiohttp.TCPConnector(force_close=True)  # one that is closed while an order goes out leaves that in doubt
            self._session = aiohttp.ClientSession(
                connector=fresh, timeout=self._timeout, auto_decompress=True, max_field_size=HEADER_MOST_BYTES
            )
        return self._session

    def _refusal(self, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
        said = f"{self.name} answered {status}: {_message(body)}"
        if status >= _SERVER or status in _BUSY or status not in range(400, 500):
            wait_s = _retry_after_s(headers.get("Retry-After", ""))
            return ProviderUnavailable(said, retry_after_s=wait_s, untaken=status not in _OF_A_PROXY)
        return PermanentFailure(_reason(status, body), said)


def _timeout(silence_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=EXCHANGE_S, sock_connect=CONNECT_S, sock_read=silence_s)


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise aiohttp.ClientPayloadError("the answer is too large")
    return bytes(body)


_SAYINGS = (
    (FailureReason.AUDIO_TOO_SHORT, ("too short",)),
    (FailureReason.AUDIO_CORRUPT, ("corrupt", "failed to process audio", "could not be decoded", "invalid audio")),
    (FailureReason.UNSUPPORTED_FORMAT, ("unsupported", "file type", "does not appear to contain audio", "no audio stream")),
)


def reason_said(text: str) -> FailureReason:
    """Return the reason that a provider's error text means; providers have no closed list of their own."""
    said = text.lower()
    return next(
        (reason for reason, sayings in _SAYINGS if any(saying in said for saying in sayings)), FailureReason.PROCESSING_ERROR
    )


def _reason(status: int, body: bytes) -> FailureReason:
    if status in _KEY_REFUSED or status == _OUT_OF_CREDIT:
        return FailureReason.PROVIDER_NOT_CONFIGURED
    return FailureReason.UNSUPPORTED_FORMAT if status == _WRONG_MEDIA else reason_said(_message(body))


def _message(body: bytes) -> str:
    """Return what an error's body says to people, in any of the forms that the providers use."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body[:120].decode("utf-8", "replace")
    while isinstance(value, dict):
        value = next((value[key] for key in ("err_msg", "error", "message", "detail", "reason") if value.get(key)), "")
    return (value if isinstance(value, str) else msgspec.json.encode(value).decode())[:200]


def _retry_after_s(text: str) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, given as a number or as a date."""
    if not text:
        return None
    try:
        wait_s = float(text)
    except ValueError:
        moment = http_date(text)
        if moment is None or moment.tzinfo is None:
            return None
        wait_s = (moment - now()).total_seconds()
    return min(max(wait_s, 0.0), LONGEST_WAIT_S) if wait_s == wait_s else None  # noqa: PLR0124 - not a number is no wait
