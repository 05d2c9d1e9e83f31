"""Objects into files, of any size with flat memory: a broken download is resumed, its checksum compared."""

import asyncio
import hashlib
from typing import BinaryIO

import aiohttp
from aiohttp import hdrs

from shared.domain.stored_object import ObjectChanged, ObjectMissing, ObjectStoreRefused, ObjectStoreUnavailable
from shared.storage.s3_answers import content_md5, error_code
from shared.storage.s3_connection import ATTEMPTS, S3Connection, S3Request, pause_before

_NOT_FOUND, _PRECONDITION_FAILED, _PARTIAL = 404, 412, 206


def not_found(key: str, body: bytes) -> Exception:
    """Return what a 404 with this body means: the object is missing, or (the operator's fault) its bucket is."""
    code = error_code(body)
    return ObjectStoreRefused(f"GET {key}: 404 {code}") if code.startswith("NoSuchBucket") else ObjectMissing(key)


class Download:
    """One object on its way into `file`; a broken connection goes on where it broke, of the same object only."""

    def __init__(self, connection: S3Connection, key: str, file: BinaryIO, etag: str | None) -> None:
        self._connection = connection
        self._key = key
        self._file = file
        self._etag = etag
        self._md5: str | None = None
        self._digest = hashlib.md5(usedforsecurity=False)
        self._written = 0

    async def run(self) -> None:
        """Write the whole object; a checksum that differs from the store's is `ObjectStoreUnavailable`."""
        attempt = 1
        while True:
            before = self._written
            try:
                await self._continue()
                break
            except ObjectStoreUnavailable:
                attempt = attempt + 1 if self._written == before else 2  # progress earns new attempts
                if attempt > ATTEMPTS:
                    raise
            await pause_before(attempt)
        if self._md5 is not None and self._digest.hexdigest() != self._md5:
            raise ObjectStoreUnavailable(f"GET {self._key}: what arrived is not what the store holds (MD5)")

    async def _continue(self) -> None:
        headers: dict[str, str] = {hdrs.IF_MATCH: f'"{self._etag}"'} if self._etag else {}
        if self._written:
            headers[hdrs.RANGE] = f"bytes={self._written}-"
        accepted = frozenset({200, _PARTIAL, _NOT_FOUND, _PRECONDITION_FAILED})
        async with self._connection.open(S3Request("GET", self._key, headers=headers, accepts=accepted)) as response:
            await self._check(response)
            async for piece in response.content.iter_any():
                await asyncio.to_thread(self._write, piece)

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        etag = response.headers.get(hdrs.ETAG, "").strip('"')
        if response.status == _NOT_FOUND:
            raise not_found(self._key, await response.read())
        if response.status == _PRECONDITION_FAILED or (self._etag is not None and etag != self._etag):
            raise ObjectChanged(f"GET {self._key}: the object is no longer {self._etag}")
        if (response.status == _PARTIAL) != bool(self._written):
            raise ObjectStoreUnavailable(f"GET {self._key}: status {response.status} for a range from {self._written}")
        self._etag, self._md5 = etag, content_md5(response.headers)

    def _write(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._file.write(piece)
        self._written += len(piece)
