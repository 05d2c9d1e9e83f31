"""Chunk PUTs of 128 KiB: `ObjectStore.put` against the `minio` client in a thread pool, on the same store in the same run.

Prints PUTs per second and CPU per PUT of this process for each, and their ratio (median and spread of the rounds).
"""

import argparse
import asyncio
import io
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import urllib3
import uvloop
from minio import Minio

from deploy.local.servers.seaweedfs import SeaweedServer
from shared.domain.ids import new_ulid
from shared.domain.object_keys import chunk_key
from shared.settings import S3Settings
from shared.storage.objects import ObjectStore

CHUNK = os.urandom(128 * 1024)
PIECE_BYTES = 64 * 1024  # what an HTTP server hands on at a time
CONTENT_TYPE = "audio/ogg"

Put = Callable[[int], Awaitable[object]]


async def streamed() -> AsyncIterator[bytes]:
    """Yield the chunk as a client's request body would."""
    for start in range(0, len(CHUNK), PIECE_BYTES):
        yield CHUNK[start : start + PIECE_BYTES]


def put_by_store(store: ObjectStore) -> Put:
    """Return our own way."""

    def put(number: int) -> Awaitable[object]:
        return store.put(chunk_key("bench", "ours", number, new_ulid()), streamed(), len(CHUNK), CONTENT_TYPE)

    return put


def put_by_minio(settings: S3Settings, pool: ThreadPoolExecutor) -> Put:
    """Return the peer: gather the body, then one blocking call in a thread."""
    host = settings.s3_endpoint.removeprefix("http://")
    http = urllib3.PoolManager(maxsize=64)
    client = Minio(
        host, settings.s3_access_key, settings.s3_secret_key, secure=False, region=settings.s3_region, http_client=http
    )

    async def put(number: int) -> object:
        body = io.BytesIO(b"".join([piece async for piece in streamed()]))
        key = chunk_key("bench", "peer", number, new_ulid())
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            pool, lambda: client.put_object(settings.s3_bucket, key, body, len(CHUNK), content_type=CONTENT_TYPE)
        )

    return put


async def measure(put: Put, count: int, concurrency: int) -> tuple[float, float]:
    """Return PUTs per second and this process's CPU microseconds per PUT."""
    numbers = iter(range(1, count + 1))

    async def work() -> None:
        for number in numbers:
            await put(number)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return count / (time.perf_counter() - began), (time.process_time() - cpu) / count * 1e6


async def compare(settings: S3Settings, arguments: argparse.Namespace) -> None:
    """Run both in turn and print what came out."""
    store = ObjectStore(settings)
    await store.start()
    results: dict[str, list[tuple[float, float]]] = {"ObjectStore.put": [], "minio in threads": []}
    with ThreadPoolExecutor(arguments.concurrency) as pool:
        ways = dict(zip(results, (put_by_store(store), put_by_minio(settings, pool)), strict=True))
        for way in ways.values():
            await measure(way, 64, arguments.concurrency)
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                results[name].append(await measure(way, arguments.count, arguments.concurrency))
    await store.stop()
    for name, rounds in results.items():
        rate, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:18} {rate:7.0f} PUTs/s   {cpu:6.0f} us CPU per PUT")
    ours, peer = results.values()
    ratios = sorted(mine[0] / other[0] for mine, other in zip(ours, peer, strict=True))
    print(f"ratio {statistics.median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}, {arguments.rounds} rounds)")


def main() -> None:
    """Start a store, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, default=32)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = SeaweedServer(Path(folder))
        server.start()
        try:
            settings = S3Settings(
                s3_endpoint=server.endpoint,
                s3_access_key=server.access_key,
                s3_secret_key=server.secret_key,
                s3_bucket=server.bucket,
            )
            uvloop.run(compare(settings, arguments))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
