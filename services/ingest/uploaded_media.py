"""What the object store has of a recording's announced media: there, whole, and of the declared kind (contract A9)."""

import asyncio
from collections.abc import Sequence

import msgspec

from services.ingest.recording_files import RecordingFiles
from services.ingest.refusals import InvalidNow, UploadIncomplete
from shared.domain.magic import media_kinds
from shared.domain.media import Media, MediaStatus
from shared.domain.recording import Recording


async def inspected(files: RecordingFiles, recording: Recording) -> tuple[Media, ...]:
    """Return all media, the pending ones with true size and etag; refuses when one is missing, cut short or of another kind."""
    pending = [media for media in recording.media if media.status is MediaStatus.PENDING]
    if not pending:
        raise UploadIncomplete("nothing was uploaded: ask for an upload-url first", details={"media_ids": []})
    measured = await _measured(files, pending)
    await asyncio.gather(*(_check_kind(files, media) for media in measured))
    by_id = {media.id: media for media in measured}
    return tuple(by_id.get(media.id, media) for media in recording.media)


def as_uploaded(media: Sequence[Media]) -> tuple[Media, ...]:
    """Return the media, every one stored."""
    return tuple(msgspec.structs.replace(item, status=MediaStatus.UPLOADED) for item in media)


async def _measured(files: RecordingFiles, pending: Sequence[Media]) -> list[Media]:
    stored = await files.stored(pending)
    measured: list[Media] = []
    incomplete: list[str] = []
    for media, found in zip(pending, stored, strict=True):
        if found is None or found.size_bytes == 0 or found.size_bytes != (media.declared_size_bytes or found.size_bytes):
            incomplete.append(media.id)
        else:
            measured.append(msgspec.structs.replace(media, file_size_bytes=found.size_bytes, etag=found.etag or None))
    if incomplete:
        raise UploadIncomplete(
            "not everything that was announced is stored, whole and not empty", details={"media_ids": incomplete}
        )
    return measured


async def _check_kind(files: RecordingFiles, media: Media) -> None:
    kinds = media_kinds(await files.head(media))
    if media.type not in kinds:
        raise InvalidNow(  # until another file is stored in its place
            f"what was uploaded is not {media.type} of a format that is taken",
            param="media",
            details={"media_id": media.id, "declared": media.type, "found": sorted(kinds)},
        )
