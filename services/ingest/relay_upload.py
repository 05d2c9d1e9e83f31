"""The verb of upload-relay: a whole file passes through the API into the object store, and its upload is complete."""

from collections.abc import AsyncIterable

import msgspec

from services.ingest.bodies import CompleteUpload as Completion
from services.ingest.bodies import RequestUpload
from services.ingest.chunk_bodies import lively
from services.ingest.complete_upload import CompleteUpload
from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import InvalidRequest, LengthRequired, NotFound, PayloadTooLarge
from services.ingest.request_upload import RequestUploadUrl
from shared.domain.caller import Caller
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id
from shared.domain.kept_answer import Claim
from shared.domain.media import Media, MediaType
from shared.domain.recording import Recording

_PLAIN = "application/octet-stream"
_AT_ONCE = 32  # each holds a connection to the object store, which chunks need too


class RelayedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is sent; `content_type` is the header, empty when there is none, `size_bytes` None when not announced."""

    pieces: AsyncIterable[bytes]
    size_bytes: int | None
    content_type: str


class RelaysBusy(TransientFailure):
    """As many files are being relayed as one replica relays at a time."""


class RelayUpload:
    """Relays audio files of at most `max_bytes`; nothing of them is held but the piece that is on its way."""

    def __init__(self, announce: RequestUploadUrl, files: RecordingFiles, complete: CompleteUpload, max_bytes: int) -> None:
        self._announce, self._files, self._complete, self._max_bytes = announce, files, complete, max_bytes
        self._running = 0

    async def __call__(self, caller: Caller, recording_id: str, file: RelayedFile, claim: Claim | None = None) -> Recording:
        """Store the file as the recording's audio and complete its upload; the same conditions hold as for upload-complete.

        A body that breaks off or is not as long as announced stores nothing: send it again. The repeat of a claim since which the
        upload was completed is read to its end and let go.
        """
        size_bytes = self._admitted(file)
        if (done := await self._complete.done_since(caller, recording_id, claim)) is not None:
            async for _ in lively(file.pieces):
                pass
            return done
        if self._running >= _AT_ONCE:
            raise RelaysBusy(f"{_AT_ONCE} uploads are being relayed")
        self._running += 1
        try:
            media = await self._media(caller, recording_id, file)
            await self._files.put_media(media, lively(file.pieces), size_bytes)
        finally:
            self._running -= 1
        try:
            return await self._complete(caller, recording_id, Completion())
        except NotFound:  # deleted meanwhile, perhaps so long ago that nobody sweeps there any more
            await self._files.discard(media.object_key)
            raise

    async def _media(self, caller: Caller, recording_id: str, file: RelayedFile) -> Media:
        content_type = _declared(file.content_type)
        request = RequestUpload(type=MediaType.AUDIO, content_type=content_type, file_size_bytes=file.size_bytes)
        return await self._announce.announce(caller, recording_id, request, new_id("med"))

    def _admitted(self, file: RelayedFile) -> int:
        if file.size_bytes is None:
            raise LengthRequired("a file needs a Content-Length header")
        if file.size_bytes > self._max_bytes:
            raise PayloadTooLarge(
                f"a relayed file may be {self._max_bytes} bytes at most", details={"max_bytes": self._max_bytes}
            )
        if file.size_bytes == 0:
            raise InvalidRequest("the file is empty; nothing was stored")
        return file.size_bytes


def _declared(content_type: str) -> str | None:
    """Return what the client says the file is; None when it says no more than that it is a file."""
    plain = content_type.partition(";")[0].strip().lower()
    return None if plain in ("", _PLAIN) else plain
