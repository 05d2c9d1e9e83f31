"""Pages of transcriptions, with their texts as far as one answer should carry them."""

from collections.abc import Sequence

import msgspec

from services.ingest.paging import Page, Pager, PageRequest, given
from services.ingest.ports import RecordingStore, TranscriptionStore, TranscriptReader
from services.ingest.read_recordings import found
from shared.domain.caller import Caller
from shared.domain.tenant import Tenant
from shared.domain.transcription import Transcription, TranscriptionStatus

MOST_TEXT = 256 * 1024  # characters in one page; clients refuse answers of some megabytes


class TranscriptionPage(msgspec.Struct, frozen=True):
    """A page, and the texts of its completed transcriptions by id; the newest have theirs when not all fit."""

    page: Page[Transcription]
    texts: dict[str, str]


class ListTranscriptions:
    """What a caller may see of its project's transcriptions, newest first."""

    def __init__(
        self, recordings: RecordingStore, transcriptions: TranscriptionStore, transcripts: TranscriptReader, pager: Pager
    ) -> None:
        self._recordings, self._transcriptions = recordings, transcriptions
        self._transcripts, self._pager = transcripts, pager

    async def __call__(
        self, caller: Caller, request: PageRequest, *, recording_id: str | None, status: TranscriptionStatus | None
    ) -> TranscriptionPage:
        """Return a page of those that match every filter given; an unknown recording has none.

        Like everywhere else, a transcription is shown only with its recording: the deletion of that is another write.
        """
        matching = given(recording_id=recording_id, status=status)

        async def read(limit: int, before: str | None, offset: int) -> list[Transcription]:
            rows = await self._transcriptions.page(caller.tenant, matching, limit, before=before, offset=offset)
            shown = await self._with_recording(caller.tenant, rows)
            while len(shown) < limit == len(rows):  # in place of those of deleted recordings, which are swept soon
                rows = await self._transcriptions.page(caller.tenant, matching, limit, before=rows[-1].id)
                shown += await self._with_recording(caller.tenant, rows)
            return shown

        page = await self._pager.page(caller.tenant, "transcriptions", request, read)
        return TranscriptionPage(page, await self._texts(caller, page))

    async def of_recording(
        self, caller: Caller, recording_id: str, request: PageRequest, *, status: TranscriptionStatus | None
    ) -> TranscriptionPage:
        """Return a page of a recording's; raises `NotFound` when there is no such recording."""
        await found(self._recordings, caller, recording_id)
        return await self(caller, request, recording_id=recording_id, status=status)

    async def _with_recording(self, tenant: Tenant, rows: Sequence[Transcription]) -> list[Transcription]:
        recordings = {row.recording_id for row in rows}
        present = await self._recordings.undeleted(tenant, recordings) if recordings else frozenset()
        return [row for row in rows if row.recording_id in present]

    async def _texts(self, caller: Caller, page: Page[Transcription]) -> dict[str, str]:
        completed = [item.id for item in page.items if item.status is TranscriptionStatus.COMPLETED]
        texts = await self._transcripts.texts(caller.tenant, completed) if completed else {}
        fitting: dict[str, str] = {}
        left = MOST_TEXT
        for transcription_id in completed:
            text = texts.get(transcription_id, "")
            if len(text) > left:
                break
            left -= len(text)
            fitting[transcription_id] = text
        return fitting
