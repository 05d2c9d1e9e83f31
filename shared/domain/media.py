"""The files of a recording: audio, images and video."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar

import msgspec


class MediaType(StrEnum):
    """The three kinds of media (contract section 6.0)."""

    AUDIO = "audio"
    IMAGE = "image"
    VIDEO = "video"


class MediaStatus(StrEnum):
    """A media object is announced, then stored."""

    PENDING = "pending"
    UPLOADED = "uploaded"


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a recording; `object_key` is its place in the object store, never shown to a client.

    `etag` is the object's own when its upload was completed: what is read later must still be that object. None, and any object
    is read, in recordings stored before etags were noted.
    """

    id: str
    type: MediaType
    content_type: str
    object_key: str
    etag: str | None = None
    status: MediaStatus = MediaStatus.PENDING
    file_size_bytes: int | None = None
    declared_size_bytes: int | None = None
    captured_at: datetime | None = None
    created_at: datetime
    codec: str | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None


SAMPLE_RATES_HZ = range(1000, 768_001)
"""What speech is recorded at, and far beyond. Of a file that says it was once a second, a megabyte would last for days."""

CONTENT_TYPES: dict[MediaType, dict[str, str]] = {
    MediaType.AUDIO: {
        "audio/opus": "opus",
        "audio/ogg": "ogg",
        "audio/wav": "wav",
        "audio/mpeg": "mp3",
        "audio/mp4": "m4a",
        "audio/webm": "webm",
        "audio/flac": "flac",
        "audio/aac": "aac",
    },
    MediaType.IMAGE: {"image/jpeg": "jpg", "image/png": "png"},
    MediaType.VIDEO: {"video/mp4": "mp4"},
}
"""The MIME types each kind accepts, with the extension its object gets; the first of each is the default (section 8)."""


def default_content_type(kind: MediaType) -> str:
    """Return the MIME type used when a client names none."""
    return next(iter(CONTENT_TYPES[kind]))


class File(Protocol):
    """A file, as it is kept or as it is shown."""

    @property
    def type(self) -> str:
        """The kind of media."""


F = TypeVar("F", bound=File)


def main_file(media: Sequence[F]) -> F:
    """Return what a recording and its content hash are about: the newest audio, else the newest video, else the newest file."""
    for kind in (MediaType.AUDIO, MediaType.VIDEO):
        found = [item for item in media if item.type == kind]
        if found:
            return found[-1]
    return media[-1]
