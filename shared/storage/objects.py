"""The object store: one bucket of any S3 server, spoken to in objects, never in requests."""

from collections.abc import AsyncIterable, Sequence
from pathlib import Path

from shared.settings import S3Settings
from shared.storage.stored_object import (
    BodyMismatch,
    ObjectChanged,
    ObjectMissing,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    StoredObject,
)

__all__ = [
    "BodyMismatch",
    "ObjectChanged",
    "ObjectMissing",
    "ObjectStore",
    "ObjectStoreRefused",
    "ObjectStoreUnavailable",
    "StoredObject",
]


class ObjectStore:
    """One bucket of an S3 store; streams, never holds a whole object in memory."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """Open the connection pool; nothing is sent yet."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Close all connections; what runs ends with `ObjectStoreUnavailable`."""
        raise NotImplementedError

    async def ensure_bucket(self) -> None:
        """Create the bucket unless it exists; safe when several processes do so at once."""
        raise NotImplementedError

    async def check(self) -> None:
        """Ask once, without retries, whether the bucket can be used; raise when it can not (readiness)."""
        raise NotImplementedError

    async def put(self, key: str, body: bytes | AsyncIterable[bytes], size_bytes: int, content_type: str) -> StoredObject:
        """Store exactly `size_bytes` of `body`; a body of another length stores nothing and raises `BodyMismatch`."""
        raise NotImplementedError

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is stored under `key`, None when nothing is."""
        raise NotImplementedError

    async def read(self, key: str, start: int, length: int) -> bytes:
        """Return the bytes from `start`, at most `length`; empty past the end."""
        raise NotImplementedError

    async def download(self, key: str, path: Path, *, etag: str | None = None) -> None:
        """Stream the object to `path`; with `etag` only if it still is that object, else `ObjectChanged`."""
        raise NotImplementedError

    async def upload(self, path: Path, key: str, content_type: str) -> StoredObject:
        """Store the file; afterwards the object has its size and checksum."""
        raise NotImplementedError

    async def list(self, prefix: str) -> list[StoredObject]:
        """Return every object whose key starts with `prefix`, sorted by key."""
        raise NotImplementedError

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete the objects; those that do not exist are fine."""
        raise NotImplementedError

    def presigned_put(self, key: str, expires_s: int, *, size_bytes: int | None = None) -> str:
        """Return a URL that stores the object by a plain PUT, of exactly `size_bytes` when given, of any content type."""
        raise NotImplementedError

    def presigned_get(
        self, key: str, expires_s: int, *, filename: str | None = None, content_type: str | None = None
    ) -> str:
        """Return a URL that reads the object, offered as `filename` and `content_type` when given."""
        raise NotImplementedError
