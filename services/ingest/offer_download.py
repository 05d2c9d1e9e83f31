"""The verb of download-url: a URL by which a stored file is read past the API (contract A11)."""

import unicodedata
from datetime import datetime, timedelta

import msgspec

from services.ingest.ports import RecordingStore
from services.ingest.read_recordings import found
from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import RecordingNotReady, not_found
from shared.domain.caller import Caller
from shared.domain.clock import now
from shared.domain.media import Media, MediaStatus
from shared.domain.recording import Recording

_LONGEST_NAME = 80
_NOT_IN_FILE_NAMES = frozenset('/\\:*?"<>|')


class DownloadOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that reads one file; who has it needs no credential until it ends."""

    media: Media
    url: str
    expires_at: datetime
    expires_in: int


class OfferDownload:
    """Hands out URLs that read stored files; `ttl_s` is how long each lives."""

    def __init__(self, recordings: RecordingStore, files: RecordingFiles, ttl_s: int) -> None:
        self._recordings, self._files, self._ttl_s = recordings, files, ttl_s

    async def __call__(self, caller: Caller, recording_id: str, media_id: str | None = None) -> DownloadOffer:
        """Return the URL of one file, by default of the audio: the joined one or the newest that was uploaded.

        Raises `RecordingNotReady` for a file that is not stored yet.
        """
        recording = await found(self._recordings, caller, recording_id)
        media = recording.audio if media_id is None else _named(recording, media_id)
        if media is None or media.status is not MediaStatus.UPLOADED:
            stitching = recording.job and recording.job.status
            details = {"current_status": recording.status, "stitching": stitching}
            raise RecordingNotReady("there is no such file to download, or not yet", details=details)
        url = self._files.download_url(media, _file_name(recording, media), self._ttl_s)
        return DownloadOffer(media=media, url=url, expires_at=now() + timedelta(seconds=self._ttl_s), expires_in=self._ttl_s)


def _named(recording: Recording, media_id: str) -> Media:
    for media in recording.media:
        if media.id == media_id:
            return media
    raise not_found("media")


def _file_name(recording: Recording, media: Media) -> str:
    """Return what the file is saved as: the recording's name as far as file systems take it, else its id.

    Characters that are not seen, such as those that turn the direction of writing, could disguise the extension.
    """
    seen = "".join(" " if _is_unfit(character) else character for character in recording.name or "")
    stem = " ".join(seen.split())[:_LONGEST_NAME].strip(". ")
    return f"{stem or recording.id}.{media.object_key.rpartition('.')[2]}"


def _is_unfit(character: str) -> bool:
    return character in _NOT_IN_FILE_NAMES or unicodedata.category(character).startswith("C")
