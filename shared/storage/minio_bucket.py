"""The rare and blocking calls, through the `minio` client in a few threads: making the bucket, multipart uploads."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.helpers import ObjectWriteResult

from shared.domain.stored_object import ObjectStoreRefused, ObjectStoreUnavailable
from shared.settings import S3Settings
from shared.storage.s3_answers import BUSY_CODES, etag_is_md5
from shared.storage.signing import Endpoint

T = TypeVar("T")

THREADS = 4
PART_BYTES = 8 * 1024 * 1024
MOST_PARTS = 10_000  # the S3 limit
_MADE_BY_ANOTHER = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


class MinioBucket:
    """One bucket seen through `minio`; opens no connection before the first call."""

    def __init__(self, settings: S3Settings) -> None:
        endpoint = Endpoint(settings.s3_endpoint)
        self._bucket = settings.s3_bucket
        self._region = settings.s3_region
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="object-store")
        self._http = urllib3.PoolManager(
            maxsize=THREADS,
            timeout=urllib3.Timeout(connect=5, read=60),
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        )
        self._client = Minio(
            endpoint.host,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
            region=settings.s3_region,
            secure=endpoint.secure,
            http_client=self._http,
        )
        self._client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]  # path-style wherever the store is

    async def stop(self) -> None:
        """Wait for the running calls, then close."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._http.clear()

    async def ensure(self) -> None:
        """Create the bucket unless it exists."""
        await self._call("make bucket", self._make)

    async def upload(self, path: Path, key: str, content_type: str) -> str:
        """Store the file in parts and return the ETag; a cancelled or failed upload leaves nothing visible behind."""
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        with await asyncio.to_thread(path.open, "rb") as file:
            parts = _HashedParts(file, max(PART_BYTES, -(-size_bytes // MOST_PARTS)))

            def put() -> ObjectWriteResult:
                return self._client.put_object(
                    self._bucket,
                    key,
                    cast("BinaryIO", parts),
                    size_bytes,
                    content_type,
                    part_size=parts.part_bytes,
                    num_parallel_uploads=1,  # more keeps as many parts in memory, and leaks threads when one fails
                )

            try:
                result = await self._call(f"upload {key}", put)
            finally:
                parts.stopped = True
        etag = (result.etag or "").strip('"')
        if etag_is_md5(result.http_headers) and etag != parts.etag:
            with contextlib.suppress(ObjectStoreUnavailable, ObjectStoreRefused):
                await self._call(f"delete {key}", lambda: self._client.remove_object(self._bucket, key))
            raise ObjectStoreUnavailable(f"upload {key}: the store's checksum {etag} is not the file's {parts.etag}")
        return etag

    def _make(self) -> None:
        if not self._client.bucket_exists(self._bucket):
            try:
                self._client.make_bucket(self._bucket, self._region)
            except S3Error as error:
                if error.code not in _MADE_BY_ANOTHER:
                    raise

    async def _call(self, what: str, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except S3Error as error:
            failure = ObjectStoreUnavailable if (error.code or "").startswith(BUSY_CODES) else ObjectStoreRefused
            raise failure(f"{what}: {error.code} {error.message}") from error
        except (urllib3.exceptions.HTTPError, InvalidResponseError, ServerError, ConnectionError) as error:
            raise ObjectStoreUnavailable(f"{what}: no answer from the object store ({error!r})") from error


class _HashedParts:
    """A file whose parts are hashed as they are read; `etag` is then what S3 makes of them. Refuses to be read once stopped."""

    def __init__(self, file: BinaryIO, part_bytes: int) -> None:
        self._file = file
        self._digests: list[bytes] = []
        self.part_bytes = part_bytes
        self.stopped = False

    def read(self, size: int) -> bytes:
        """Return one whole part, `size` bytes unless it is the last: `minio` asks for nothing else."""
        if self.stopped:
            raise ConnectionAbortedError("the upload was cancelled")
        part = self._file.read(size)
        self._digests.append(hashlib.md5(part, usedforsecurity=False).digest())
        return part

    @property
    def etag(self) -> str:
        """The MD5 of the parts' MD5s and their count."""
        return f"{hashlib.md5(b''.join(self._digests), usedforsecurity=False).hexdigest()}-{len(self._digests)}"
