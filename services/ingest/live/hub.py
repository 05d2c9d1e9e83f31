"""Who waits for news of which recording, and how word reaches them."""

import asyncio
from collections import Counter, defaultdict

from services.ingest.live.ports import LiveRules
from services.ingest.refusals import TooManyStreams
from shared.domain.tenant import Tenant
from shared.telemetry.metrics import live_streams

LINGER_S = 30.0
"""So long after the last stream ended the broker is still listened to: the next one often comes soon."""


class Watch:
    """One stream's ear: `news` is set when there may be something to tell."""

    def __init__(self, tenant: Tenant, recording_id: str) -> None:
        self.tenant, self.recording_id = tenant, recording_id
        self.news = asyncio.Event()


class Hub:
    """Wakes the streams of this process.

    `wanted` is set while somebody listens; whoever brings word from the broker calls `heard`, and says by `hearing` whether word
    would come. All streams are woken when that changes, for something may have been missed.
    """

    def __init__(self, rules: LiveRules) -> None:
        self._rules = rules
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)
        self._open: Counter[str] = Counter()
        self._rest: asyncio.TimerHandle | None = None
        self.wanted = asyncio.Event()
        self.is_heard = False
        self.closing = False

    def open(self, tenant: Tenant, recording_id: str) -> Watch:
        """Take one of the project's places; raises `TooManyStreams`. Whoever takes one gives it back by `close`."""
        if self._open[tenant.project_id] >= self._rules.streams_per_project:
            raise TooManyStreams(f"a project may follow {self._rules.streams_per_project} recordings at a time here")
        self._open[tenant.project_id] += 1
        live_streams.inc()
        watch = Watch(tenant, recording_id)
        self._watches[recording_id].add(watch)
        if self._rest is not None:
            self._rest.cancel()
        self.wanted.set()
        return watch

    def close(self, watch: Watch) -> None:
        """Give the place back."""
        live_streams.dec()
        self._open -= Counter({watch.tenant.project_id: 1})
        self._watches[watch.recording_id].discard(watch)
        if not self._watches[watch.recording_id]:
            del self._watches[watch.recording_id]
        if not self._watches:
            self._rest = asyncio.get_running_loop().call_later(LINGER_S, self.wanted.clear)

    def heard(self, key: str) -> None:
        """Wake those who follow the recording `key`."""
        for watch in self._watches.get(key, ()):
            watch.news.set()

    def hearing(self, *, well: bool) -> None:
        """Note whether word comes from the broker, and have everybody look for themselves."""
        self.is_heard = well
        self._wake_all()

    async def close_when(self, draining: asyncio.Event) -> None:
        """End every stream once `draining` is set."""
        await draining.wait()
        self.closing = True
        self._wake_all()

    def _wake_all(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.news.set()
