"""The object store: one bucket of any S3 server, spoken to in objects, never in requests."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from aiohttp import hdrs

from shared.domain.stored_object import (
    BodyMismatch,
    ObjectChanged,
    ObjectMissing,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    StoredObject,
)
from shared.settings import S3Settings
from shared.storage.minio_bucket import MinioBucket
from shared.storage.object_bodies import Content, MeasuredBody, Pieces, file_body, gathered, pieces_body, stream_body
from shared.storage.object_download import Download, not_found
from shared.storage.put_checks import PutChecks
from shared.storage.s3_answers import content_md5, deletion, deletion_failures, described, fits_xml, listing
from shared.storage.s3_connection import S3Answer, S3Connection, S3Request
from shared.storage.signing import Endpoint, Grant, Signer, object_path

__all__ = [
    "BodyMismatch",
    "ObjectChanged",
    "ObjectMissing",
    "ObjectStore",
    "ObjectStoreRefused",
    "ObjectStoreUnavailable",
    "StoredObject",
]

GATHERED_BYTES = 256 * 1024  # bodies up to here are sent in one write: replayable, and hashed before they leave
MULTIPART_BYTES = 16 * 1024 * 1024
PAGE = 1000  # the S3 limit, of listings and of bulk deletions
_NOT_FOUND, _UNSATISFIABLE = 404, 416


class ObjectStore:
    """One bucket of an S3 store; streams, never holds a whole object in memory.

    No answer is `ObjectStoreUnavailable`, after bounded retries where the request can be sent again; a refusal is
    `ObjectStoreRefused` and carries the store's own code. Keys are any text of up to 1024 bytes without backslashes
    and without empty, '.' or '..' segments; another one is a ValueError.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._bucket = settings.s3_bucket
        self._public = Endpoint(settings.s3_public_endpoint or settings.s3_endpoint)
        self._signer = Signer(settings.s3_access_key, settings.s3_secret_key, settings.s3_region)
        self._connection = S3Connection(settings)
        self._minio = MinioBucket(settings)
        self._checks = PutChecks()

    async def start(self) -> None:
        """Open the connection pool; nothing is sent yet."""
        await self._connection.start()

    async def stop(self) -> None:
        """Close all connections; requests in flight end with `ObjectStoreUnavailable`. Once stopped, it stays so."""
        await self._connection.stop()
        await self._minio.stop()

    async def ensure_bucket(self) -> None:
        """Create the bucket unless it exists; safe when several processes do so at once."""
        await self._minio.ensure()

    async def check(self) -> None:
        """Ask once, without retries, whether the bucket can be used; raise within two seconds when it can not (readiness)."""
        await self._connection.check()

    async def put(self, key: str, body: Content | AsyncIterable[bytes], size_bytes: int, content_type: str) -> StoredObject:
        """Store exactly `size_bytes` of `body`; a body of another length stores nothing and raises `BodyMismatch`.

        Whatever the source of a streamed body raises comes out as it is, and nothing is stored.
        """
        if isinstance(body, bytes):
            pieces: Pieces = (body,)
        elif isinstance(body, tuple):
            pieces = body
        elif size_bytes > GATHERED_BYTES:
            return await self._put_measured(key, stream_body(body, size_bytes), content_type)
        else:
            pieces = await gathered(body, size_bytes)
        if (seen := sum(map(len, pieces))) != size_bytes:
            raise BodyMismatch(f"the body has {seen} of the announced {size_bytes} bytes")
        if size_bytes > GATHERED_BYTES:
            return await self._put_measured(key, pieces_body(pieces), content_type)
        return await self._put_small(key, pieces, content_type)

    async def stat(self, key: str) -> StoredObject | None:
        """Return what is stored under `key`, None when nothing is."""
        answer = await self._connection.answer(S3Request("HEAD", key, accepts=frozenset({200, _NOT_FOUND})))
        if answer.status == _NOT_FOUND:
            await self.check()  # a HEAD does not say whether the object or the whole bucket is missing
            return None
        return described(key, answer.headers)

    async def read(self, key: str, start: int, length: int) -> bytes:
        """Return the bytes from `start`, at most `length`; empty past the end. `ObjectMissing` when there is no object."""
        if start < 0 or length <= 0:
            raise ValueError(f"a range starts at 0 or later and has a length, not {start}+{length}")
        headers: dict[str, str] = {hdrs.RANGE: f"bytes={start}-{start + length - 1}"}
        accepted = frozenset({206, _NOT_FOUND, _UNSATISFIABLE})
        answer = await self._connection.answer(S3Request("GET", key, headers=headers, accepts=accepted))
        if answer.status == _NOT_FOUND:
            raise not_found(key, answer.body)
        return b"" if answer.status == _UNSATISFIABLE else answer.body

    async def download(self, key: str, path: Path, *, etag: str | None = None) -> None:
        """Stream the object to `path`; with `etag` only if it still is that object, else `ObjectChanged`.

        A broken connection is resumed where it broke, of the same object; `path` appears only when everything has arrived.
        """
        partial = path.with_name(path.name + ".part")
        try:
            with await asyncio.to_thread(partial.open, "wb") as file:
                await Download(self._connection, key, file, etag).run()
            await asyncio.to_thread(partial.replace, path)
        finally:
            partial.unlink(missing_ok=True)

    async def upload(self, path: Path, key: str, content_type: str) -> StoredObject:
        """Store the file, in parts above 16 MiB; what is returned has been compared with it by size and checksum."""
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        if size_bytes <= MULTIPART_BYTES:
            return await self._put_measured(key, file_body(path, size_bytes), content_type)
        etag = await self._minio.upload(path, key, content_type)
        stored = await self.stat(key)
        if stored is None or (stored.size_bytes, stored.etag) != (size_bytes, etag):
            raise ObjectChanged(f"upload {key}: the object is not what was just uploaded")
        return stored

    async def list(self, prefix: str) -> list[StoredObject]:
        """Return every object whose key starts with `prefix`, sorted by key."""
        found = [stored async for page in self._pages(prefix) for stored in page]
        return sorted(found, key=lambda stored: stored.key)

    async def erase(self, prefix: str) -> int:
        """Delete every object whose key starts with `prefix`, page by page; return how many. After a failure call it again."""
        erased = 0
        async for page in self._pages(prefix):
            await self.delete([stored.key for stored in page])
            erased += len(page)
        return erased

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete the objects; those that do not exist are fine. After a failure some may be gone: call it again."""
        bulk = [key for key in dict.fromkeys(keys) if fits_xml(key)]
        for start in range(0, len(bulk), PAGE):
            body = deletion(bulk[start : start + PAGE])
            headers = {"Content-MD5": base64.b64encode(_md5(body)).decode(), hdrs.CONTENT_TYPE: "application/xml"}
            answer = await self._connection.answer(S3Request("POST", query={"delete": ""}, headers=headers, body=body))
            if failures := list(deletion_failures(answer.body)):
                raise ObjectStoreUnavailable(f"{len(failures)} objects were not deleted, the first: {failures[0]}")
        for key in set(keys).difference(bulk):
            await self._delete_one(key)

    def presigned_put(self, key: str, expires_s: int, *, size_bytes: int | None = None) -> str:
        """Return a URL that stores the object by a plain PUT, of exactly `size_bytes` when given, of any content type."""
        signed = {} if size_bytes is None else {"content-length": str(size_bytes)}
        grant = Grant("PUT", object_path(self._bucket, key), expires_s, headers=signed)
        return self._signer.presign(self._public, grant, datetime.now(UTC))

    def presigned_get(self, key: str, expires_s: int, *, filename: str | None = None, content_type: str | None = None) -> str:
        """Return a URL that reads the object, saved as `filename` and served as `content_type` when given."""
        query: dict[str, str] = {}
        if filename is not None:
            query["response-content-disposition"] = _attachment(filename)
        if content_type is not None:
            query["response-content-type"] = content_type
        grant = Grant("GET", object_path(self._bucket, key), expires_s, query=query)
        return self._signer.presign(self._public, grant, datetime.now(UTC))

    async def _pages(self, prefix: str) -> AsyncIterator[Sequence[StoredObject]]:
        query = {"list-type": "2", "prefix": prefix, "max-keys": str(PAGE), "encoding-type": "url"}
        while True:
            page = listing((await self._connection.answer(S3Request("GET", query=query, body=()))).body)
            if page is None:
                raise ObjectStoreUnavailable(f"list {prefix}: the answer is not a listing")
            yield page[0]
            if page[1] is None:
                return
            query["continuation-token"] = page[1]

    async def _put_small(self, key: str, pieces: Pieces, content_type: str) -> StoredObject:
        sums = self._checks.headers(pieces)
        request = S3Request("PUT", key, headers={hdrs.CONTENT_TYPE: content_type, **sums}, body=pieces)
        answer = await self._connection.answer(request)
        size_bytes = sum(map(len, pieces))
        if self._checks.passed(sums, answer.headers):
            return described(key, answer.headers, size_bytes)
        return await self._confirmed(key, size_bytes, answer, _md5(b"".join(pieces)).hex())

    async def _put_measured(self, key: str, body: MeasuredBody, content_type: str) -> StoredObject:
        answer = await self._connection.answer(S3Request("PUT", key, headers={hdrs.CONTENT_TYPE: content_type}, body=body))
        return await self._confirmed(key, body.size_bytes, answer, body.md5)

    async def _confirmed(self, key: str, size_bytes: int, answer: S3Answer, md5: str) -> StoredObject:
        if content_md5(answer.headers) not in (None, md5):
            with contextlib.suppress(ObjectStoreUnavailable, ObjectStoreRefused):
                await self._delete_one(key)
            raise ObjectStoreUnavailable(f"PUT {key}: what the store holds is not what was sent (MD5)")
        return described(key, answer.headers, size_bytes)

    async def _delete_one(self, key: str) -> None:
        await self._connection.answer(S3Request("DELETE", key))


def _attachment(filename: str) -> str:
    """Return the header that has a file saved under a name of any script, and says it in plain letters for older clients."""
    plain = "".join(character if character.isascii() and character.isprintable() else "_" for character in filename)
    quoted = plain.replace("\\", "_").replace('"', "_").replace("%", "_")
    return f"attachment; filename=\"{quoted}\"; filename*=UTF-8''{quote(filename, safe='')}"


def _md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()
