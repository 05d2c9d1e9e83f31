"""Pages of recordings, each shown once per version: whoever lists asks for the same rows again and again."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from services.ingest.paging import Page, Pager, PageRequest, given
from services.ingest.ports import RecordingStore
from shared.domain.caller import Caller
from shared.domain.recording import Recording, RecordingStatus, RecordingVersion
from shared.domain.tenant import Tenant
from shared.events.resources import recording_resource

_LISTING = "recordings"
_MOST_BYTES = 16 * 1024 * 1024
_KEPT_S = 60.0


class ListedRecording(msgspec.Struct, frozen=True):
    """A recording, `shown` in JSON."""

    id: str
    shown: bytes


class RecordingFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which recordings are listed: those that match everything given."""

    status: RecordingStatus | None = None
    device_id: str | None = None
    end_user_id: str | None = None

    @property
    def matching(self) -> dict[str, str]:
        """What is given, by field."""
        return given(status=self.status, device_id=self.device_id, end_user_id=self.end_user_id)


class ListRecordings:
    """What a caller may see of its project's recordings, newest first.

    Which recordings are on a page and in which versions is read anew each time; those that have not been shown lately in just
    that version are read beside it. Should one of them change between the two reads, the page is read whole.
    """

    def __init__(self, recordings: RecordingStore, pager: Pager) -> None:
        self._recordings, self._pager = recordings, pager
        self._known = ShownRecordings()
        self._last: tuple[Sequence[RecordingVersion] | None, Page[ListedRecording]] = None, Page([], None)

    async def __call__(self, caller: Caller, request: PageRequest, wanted: RecordingFilter) -> Page[ListedRecording]:
        """Return a page of those that match."""
        tenant, matching = caller.tenant, wanted.matching
        limit, before, offset = self._pager.place(tenant, _LISTING, request)
        versions = await self._recordings.page_of_versions(tenant, matching, limit, before=before, offset=offset)
        if versions and versions is self._last[0]:  # several asked for this page at the same moment
            return self._last[1]
        rows = await self._rows(tenant, versions)
        if rows is None:
            found = await self._recordings.page(tenant, matching, limit, before=before, offset=offset)
            rows = [self._known.show(recording) for recording in found]
        page = self._pager.cut(tenant, _LISTING, request, rows)
        self._last = versions, page
        return page

    async def _rows(self, tenant: Tenant, versions: Sequence[RecordingVersion]) -> list[ListedRecording] | None:
        """Return how the recordings are shown in these versions; None when one of them is in another by now."""
        rows = self._known.rows(versions)
        if missing := [version for version in versions if version.id not in rows]:
            rows |= {recording.id: self._known.show(recording) for recording in await self._recordings.those_of(tenant, missing)}
        return [rows[version.id] for version in versions] if len(rows) == len(versions) else None


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

    def rows(self, versions: Sequence[RecordingVersion]) -> dict[str, ListedRecording]:
        """Return, by id, how those of the recordings were shown that were in just these versions."""
        self._drop_old()
        kept, rows = self._kept, {}
        for version in versions:
            known = kept.get(version.id)
            if known is not None and known.version == version.version:
                rows[version.id] = known.row
        return rows

    def show(self, recording: Recording) -> ListedRecording:
        """Show a recording, and remember it."""
        row = ListedRecording(recording.id, msgspec.json.encode(recording_resource(recording)))
        self._drop(recording.id)
        self._kept[recording.id] = _Kept(recording.version, row, self._clock() + _KEPT_S)
        self._bytes += len(row.shown)
        self._drop_old()
        return row

    def _drop_old(self) -> None:
        at = self._clock()
        while self._kept and (self._bytes > self._most_bytes or next(iter(self._kept.values())).until <= at):
            self._drop(next(iter(self._kept)))

    def _drop(self, recording_id: str) -> None:
        kept = self._kept.pop(recording_id, None)
        if kept is not None:
            self._bytes -= len(kept.row.shown)
