"""A chunk's body is taken in whole before its block runs; a large one goes through a file that nobody has to clear away."""

import os
from pathlib import Path

import pytest

from services.ingest.chunk_bodies import MEMORY_BYTES, ChunkBodies, ChunkBody
from shared.domain.errors import TransientFailure
from shared.domain.stored_object import BodyMismatch

LARGE = 3 * MEMORY_BYTES + 1


def body_of(content, announced=None, piece_bytes=65_536):
    async def pieces():
        for start in range(0, len(content), piece_bytes):
            yield content[start : start + piece_bytes]

    return ChunkBody(pieces=pieces(), size_bytes=len(content) if announced is None else announced)


async def content_of(whole):
    return b"".join(whole.content if isinstance(whole.content, tuple) else [piece async for piece in whole.content])


@pytest.mark.parametrize("size", [1, MEMORY_BYTES, MEMORY_BYTES + 1, LARGE])
@pytest.mark.parametrize("piece_bytes", [1_000, 65_536, 10 * MEMORY_BYTES])
async def test_what_was_sent_is_what_is_taken(tmp_path, size, piece_bytes):
    content = os.urandom(size)
    async with ChunkBodies(size, tmp_path).taken(body_of(content, piece_bytes=piece_bytes)) as whole:
        assert isinstance(whole.content, tuple) == (size <= MEMORY_BYTES)
        assert (await content_of(whole), whole.size_bytes) == (content, size)
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [10, LARGE])
@pytest.mark.parametrize("off", [-1, 1])
async def test_a_body_of_another_length_is_never_taken(tmp_path, size, off):
    with pytest.raises(BodyMismatch):
        async with ChunkBodies(LARGE, tmp_path).taken(body_of(bytes(size + off), announced=size)):
            pytest.fail("the block ran")
    assert list(tmp_path.iterdir()) == []


async def test_a_large_body_without_a_folder_to_lie_in_is_asked_for_again_later(tmp_path):
    bodies = ChunkBodies(LARGE, tmp_path / "gone")
    with pytest.raises(TransientFailure):
        async with bodies.taken(body_of(bytes(LARGE))):
            pytest.fail("the block ran")


async def test_a_full_disk_is_no_fault_of_the_sender(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Path("/dev/full").open("r+b"))  # noqa: SIM115 - closed by who asked
    with pytest.raises(TransientFailure):
        async with ChunkBodies(LARGE, tmp_path).taken(body_of(bytes(LARGE))):
            pytest.fail("the block ran")


async def test_a_small_body_is_held_in_the_pieces_in_which_it_came(tmp_path):
    whole = await ChunkBodies(LARGE, tmp_path).gathered(body_of(b"abcdefg", piece_bytes=3))
    assert (whole.content, whole.size_bytes) == ((b"abc", b"def", b"g"), 7)


@pytest.mark.parametrize("off", [-1, 1])
async def test_a_small_body_of_another_length_is_not_gathered(tmp_path, off):
    with pytest.raises(BodyMismatch):
        await ChunkBodies(LARGE, tmp_path).gathered(body_of(bytes(10 + off), announced=10, piece_bytes=4))
