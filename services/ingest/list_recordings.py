"""Pages of recordings, each shown once per version: whoever lists asks for the same rows again and again."""

import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from services.ingest.paging import Page, Pager, PageRequest
from services.ingest.ports import RecordingStore
from shared.domain.caller import Caller
from shared.domain.recording import Recording, RecordingStatus, RecordingVersion
from shared.events.resources import recording_resource

_MOST_BYTES = 16 * 1024 * 1024
_KEPT_S = 60.0


class ListedRecording(msgspec.Struct, frozen=True):
    """A recording as JSON shows it."""

    id: str
    shown: msgspec.Raw


class ListRecordings:
    """What a caller may see of its project's recordings, newest first.

    Which recordings are on a page and in which versions is read anew each time. If any of them has not been shown lately in just
    that version, the page is read whole.
    """

    def __init__(self, recordings: RecordingStore, pager: Pager) -> None:
        self._recordings, self._pager = recordings, pager
        self._known = ShownRecordings()

    async def __call__(
        self,
        caller: Caller,
        request: PageRequest,
        *,
        status: RecordingStatus | None,
        device_id: str | None,
        end_user_id: str | None,
    ) -> Page[ListedRecording]:
        """Return a page of those that match every filter given."""
        filters = {"status": status and status.value, "device_id": device_id, "end_user_id": end_user_id}
        matching = {name: value for name, value in filters.items() if value is not None}

        async def read(limit: int, before: str | None, offset: int) -> list[ListedRecording]:
            versions = await self._recordings.page_of_versions(caller.tenant, matching, limit, before=before, offset=offset)
            known = [shown for version in versions if (shown := self._known.get(version)) is not None]
            if len(known) == len(versions):
                return known
            found = await self._recordings.page(caller.tenant, matching, limit, before=before, offset=offset)
            return [self._known.show(recording) for recording in found]

        return await self._pager.page(caller.tenant, "recordings", request, read)


class _Kept(msgspec.Struct, frozen=True):
    version: int
    row: ListedRecording
    until: float


class ShownRecordings:
    """Recordings as they were shown within the last minute, by id; the longest known are forgotten when they are too large."""

    def __init__(self, most_bytes: int = _MOST_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes, self._clock = most_bytes, clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def get(self, wanted: RecordingVersion) -> ListedRecording | None:
        """Return how just this version was shown."""
        kept = self._kept.get(wanted.id)
        return kept.row if kept is not None and kept.version == wanted.version and kept.until > self._clock() else None

    def show(self, recording: Recording) -> ListedRecording:
        """Show a recording, and remember it."""
        shown = msgspec.Raw(msgspec.json.encode(recording_resource(recording)))
        row = ListedRecording(recording.id, shown)
        at = self._clock()
        self._drop(recording.id)
        self._kept[recording.id] = _Kept(recording.version, row, at + _KEPT_S)
        self._bytes += len(memoryview(shown))
        while self._kept and (self._bytes > self._most_bytes or next(iter(self._kept.values())).until <= at):
            self._drop(next(iter(self._kept)))
        return row

    def _drop(self, recording_id: str) -> None:
        kept = self._kept.pop(recording_id, None)
        if kept is not None:
            self._bytes -= len(memoryview(kept.row.shown))
