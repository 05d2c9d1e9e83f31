"""Relayed uploads and download URLs on real servers: the same bytes come back, and none of them stay in memory."""

import hashlib
import tracemalloc

import httpx
import pytest

from tests.component.ingest.uploading import WAVE

PIECE = bytes(range(256)) * 256  # 64 KiB
MANY = 512  # 32 MiB


async def large():
    yield WAVE
    for _ in range(MANY):
        yield PIECE


def digest_of_large():
    return hashlib.sha256(WAVE + PIECE * MANY).hexdigest()


async def relayed(api, name=None):
    recording = await api.recording(name=name)
    size = len(WAVE) + len(PIECE) * MANY
    headers = {"Content-Type": "audio/wav", "Content-Length": str(size)}
    answer = await api.call("POST", f"/recordings/{recording['id']}/upload-relay", headers=headers, content=large())
    assert answer.status_code == 200, answer.text
    assert answer.json()["media"][0]["file_size_bytes"] == size
    return answer.json()


async def test_what_is_relayed_can_be_downloaded_byte_for_byte_and_is_never_whole_in_memory(api):
    tracemalloc.start()
    try:
        recording = await relayed(api, name='Sitzung "Öl"')
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024, peak
    offer = await api.ok("GET", f"/recordings/{recording['id']}/download-url")
    async with httpx.AsyncClient() as anyone:
        answer = await anyone.get(offer["download_url"])
    assert answer.status_code == 200
    assert hashlib.sha256(answer.content).hexdigest() == digest_of_large()
    assert answer.headers["content-type"] == "audio/wav"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith("attachment;")
    assert disposition.endswith("filename*=UTF-8''Sitzung%20%C3%96l.wav")
    assert len(answer.content) == offer["file_size_bytes"]


async def test_a_download_url_is_for_one_file_and_dies_with_the_recording(api):
    recording = await relayed(api)
    (media,) = recording["media"]
    offer = await api.ok("POST", f"/recordings/{recording['id']}/download-url", {"media_id": media["id"]})
    async with httpx.AsyncClient() as anyone:
        tampered = offer["download_url"].replace(media["id"], "med_1")
        assert (await anyone.get(tampered)).status_code in {403, 404}
    assert (await api.call("DELETE", f"/recordings/{recording['id']}")).status_code == 204
    assert (await api.call("GET", f"/recordings/{recording['id']}/download-url")).status_code == 404


async def test_a_relay_that_breaks_off_leaves_nothing_in_the_bucket(api):
    recording = await api.recording()

    async def half():
        yield WAVE
        yield PIECE
        raise ConnectionResetError

    headers = {"Content-Type": "audio/wav", "Content-Length": str(10 * len(PIECE))}
    with pytest.raises((httpx.HTTPError, ConnectionError)):
        await api.call("POST", f"/recordings/{recording['id']}/upload-relay", headers=headers, content=half())
    assert await api.service._store.list(f"{api.project_id}/{recording['id']}/") == []
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "pending"
