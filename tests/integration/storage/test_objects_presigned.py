"""Pre-signed URLs, used by plain HTTP clients that know nothing of S3."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest

from shared.settings import S3Settings
from shared.storage.objects import ObjectStore

KEY = "p/r/m/gespräch 1+2.ogg"
CONTENT = b"OggS" * 1000


@pytest.fixture
async def store(bucket_settings: S3Settings) -> AsyncIterator[ObjectStore]:
    store = ObjectStore(bucket_settings)
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def put(client: aiohttp.ClientSession, url: str, body: bytes, content_type: str = "audio/ogg") -> int:
    async with client.put(url, data=body, headers={"Content-Type": content_type}) as response:
        return response.status


@pytest.mark.parametrize("content_type", ["audio/ogg", "audio/opus", "application/octet-stream"])
async def test_a_plain_put_of_any_content_type_stores(
    store: ObjectStore, client: aiohttp.ClientSession, content_type: str
) -> None:
    assert await put(client, store.presigned_put(KEY, 60, size_bytes=len(CONTENT)), CONTENT, content_type) == 200
    assert await store.read(KEY, 0, 10_000) == CONTENT


@pytest.mark.parametrize("body", [CONTENT[:-1], CONTENT + b"x", b""])
async def test_a_body_of_another_size_is_refused(store: ObjectStore, client: aiohttp.ClientSession, body: bytes) -> None:
    assert await put(client, store.presigned_put(KEY, 60, size_bytes=len(CONTENT)), body) == 403
    assert await store.stat(KEY) is None


async def test_without_a_size_any_size_is_stored(store: ObjectStore, client: aiohttp.ClientSession) -> None:
    assert await put(client, store.presigned_put(KEY, 60), CONTENT) == 200
    assert await put(client, store.presigned_put(KEY, 60), b"x") == 200


async def test_a_url_for_one_object_opens_no_other(store: ObjectStore, client: aiohttp.ClientSession) -> None:
    url = store.presigned_put("p/r/chunks/000001", 60)
    assert await put(client, url.replace("000001", "000002"), CONTENT) == 403
    async with client.get(url) as response:
        assert response.status == 403


async def test_an_expired_url_is_refused(store: ObjectStore, client: aiohttp.ClientSession) -> None:
    writing, reading = store.presigned_put(KEY, 1), store.presigned_get(KEY, 1)
    deadline = time.monotonic() + 30
    while await put(client, writing, CONTENT) != 403:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    async with client.get(reading) as response:
        assert response.status == 403


async def test_a_download_has_the_name_and_type_that_were_asked_for(store: ObjectStore, client: aiohttp.ClientSession) -> None:
    await store.put(KEY, CONTENT, len(CONTENT), "application/octet-stream")
    async with client.get(store.presigned_get(KEY, 60, filename='Gespräch "1".ogg', content_type="audio/ogg")) as response:
        assert response.status == 200
        assert await response.read() == CONTENT
        assert response.content_type == "audio/ogg"
        assert response.content_disposition is not None
        assert response.content_disposition.filename == 'Gespräch "1".ogg'


async def test_clients_use_the_public_endpoint(bucket_settings: S3Settings, client: aiohttp.ClientSession) -> None:
    port = urlsplit(bucket_settings.s3_endpoint).port
    store = ObjectStore(msgspec.structs.replace(bucket_settings, s3_public_endpoint=f"http://localhost:{port}"))
    url = store.presigned_put(KEY, 60, size_bytes=len(CONTENT))
    assert url.startswith(f"http://localhost:{port}/")
    assert await put(client, url, CONTENT) == 200
    await store.stop()
