"""Completed uploads as they are read: as they were when they were completed, or not at all."""

from pathlib import Path
from typing import Protocol

from shared.domain.media import Media
from shared.domain.stored_object import ObjectChanged, UploadReplaced


class Downloads(Protocol):
    """The object store."""

    async def download(self, key: str, path: Path, *, etag: str | None = None) -> None:
        """Stream an object to a file; raises when it is missing or no longer what `etag` says."""


async def fetch_upload(store: Downloads, media: Media, path: Path) -> None:
    """Store the file at `path`; that it was replaced is `UploadReplaced` where its etag is known, `ObjectChanged` where not."""
    try:
        await store.download(media.object_key, path, etag=media.etag)
    except ObjectChanged as changed:
        if media.etag is None:
            raise
        raise UploadReplaced from changed
