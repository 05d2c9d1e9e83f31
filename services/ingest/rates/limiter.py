"""How often a project may call: several limits at once, by the kind of operation."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from services.ingest.ports import WindowStore
from services.ingest.rates.window import Limit, Window
from services.ingest.refusals import RateLimitExceeded
from services.ingest.request_context import Standing
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

log = get_logger()

_MOST_PROJECTS = 10_000
_PATIENCE_S = 2.0  # what waits for the count is going to wait for the same database anyway
_PART_OF_WINDOW = 0.75  # a count that comes only when its window is over lets nobody in, and would be asked for anew without end
_DOWN_S = 5.0  # after a failure the shared counts are left alone for so long
_KEPT_S = 60  # a window's count outlives it by this


class Bucket(StrEnum):
    """What an operation counts as, beside being a request; chunks count as nothing: who streams cannot wait."""

    CHUNKS = "chunks"
    REQUESTS = "requests"
    UPLOAD_URLS = "upload_urls"
    TRANSCRIPTIONS = "transcriptions"


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of every project; its two modes share them."""

    requests_per_second: int
    requests_per_minute: int
    upload_urls_per_minute: int
    transcriptions_per_minute: int

    def of(self, bucket: Bucket) -> tuple[Limit, ...]:
        """Return the limits that an operation of `bucket` meets; the answer's headers tell of the first."""
        general = Limit("requests_m", self.requests_per_minute, 60), Limit("requests_s", self.requests_per_second, 1)
        match bucket:
            case Bucket.CHUNKS:
                return ()
            case Bucket.REQUESTS:
                return general
            case Bucket.UPLOAD_URLS:
                return Limit("upload_urls_m", self.upload_urls_per_minute, 60), *general
            case Bucket.TRANSCRIPTIONS:
                return Limit("transcriptions_m", self.transcriptions_per_minute, 60), *general


class RateLimiter:
    """Counts requests per project, over all replicas: a token of each limit for each request, or a refusal that takes none.

    Tokens come in batches, so most requests wait for nothing. Projects that have not called for long are forgotten; what was
    leased for them is lost, which errs on the strict side.
    """

    def __init__(self, rates: Rates, store: WindowStore, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._limits = {bucket: rates.of(bucket) for bucket in Bucket}
        self._windows: OrderedDict[str, dict[Bucket, tuple[Window, ...]]] = OrderedDict()
        self._trusted_from = 0.0

    async def __call__(self, project_id: str, bucket: Bucket) -> Standing:
        """Count one request and return how the project stands; raises `RateLimitExceeded`."""
        known = self._windows.get(project_id)
        if known is None:
            known = self._begun(project_id)
        else:
            self._windows.move_to_end(project_id)
        windows = known[bucket]
        at = self._clock()
        while (dry := _without_token(windows, at)) is not None:
            if dry.spent:
                dry.settle()
                raise _refusal(dry, at)
            await dry.refill()
            at = self._clock()
        for window in windows:
            window.spend()
        if windows:
            return windows[0].standing
        told = known[Bucket.REQUESTS][0]
        told.has_token(at)  # so that it is the present window
        return told.standing

    def _begun(self, project_id: str) -> dict[Bucket, tuple[Window, ...]]:
        """Begin to count a project; its buckets share the windows of the limits that they share."""
        limits = {limit.name: limit for of_bucket in self._limits.values() for limit in of_bucket}
        windows = {name: Window(project_id, limit, self._lease) for name, limit in limits.items()}
        begun = {bucket: tuple(windows[limit.name] for limit in of_bucket) for bucket, of_bucket in self._limits.items()}
        self._windows[project_id] = begun
        if len(self._windows) > _MOST_PROJECTS:
            self._windows.popitem(last=False)
        return begun

    async def _lease(self, window: Window, count: int) -> int | None:
        if 0 < self._trusted_from - self._clock() <= _DOWN_S:  # more, and the clock was put back since
            return None
        expires_at = datetime.fromtimestamp(window.ends_at + _KEPT_S, UTC)
        try:
            async with asyncio.timeout(min(_PATIENCE_S, window.limit.seconds * _PART_OF_WINDOW)):
                return await self._store.take(window.id, count, expires_at)
        except Exception as failure:  # noqa: BLE001 - whatever is wrong with the count, requests go on
            self._trusted_from = self._clock() + _DOWN_S
            log.warning("rates.not_shared", error=type(failure).__name__, for_s=_DOWN_S)
            return None


def _without_token(windows: tuple[Window, ...], at: float) -> Window | None:
    for window in windows:
        if not window.has_token(at):
            return window
    return None


def _refusal(window: Window, at: float) -> RateLimitExceeded:
    limit = window.limit
    what = limit.name.rpartition("_")[0]
    metrics.rate_limited_total.labels(what).inc()
    span = "second" if limit.seconds == 1 else "minute"
    return RateLimitExceeded(
        f"the project may make {limit.count} {what.replace('_', ' ')} a {span}",
        standing=window.standing,
        retry_after_s=max(1, window.ends_at - int(at)),
    )
