"""A chunk's body on its way in: measured, and taken in whole before anything is written under its key."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import IO

import msgspec

from services.ingest.refusals import ClientGone, EmptyChunk, LengthRequired, PayloadTooLarge
from shared.domain.errors import TransientFailure
from shared.domain.stored_object import BodyMismatch

MEMORY_BYTES = 256 * 1024  # a body up to here is held in memory; so are the pieces of a larger one on their way to its file
SILENCE_S = 30.0


class ChunkBody(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk as it is sent: its length is announced beforehand, its end has yet to come."""

    pieces: AsyncIterable[bytes]
    size_bytes: int

    @property
    def large(self) -> bool:
        """Whether it goes to a file on its way."""
        return self.size_bytes > MEMORY_BYTES


class WholeChunk(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk of which every byte has arrived; a large one's content can be read once."""

    content: tuple[bytes, ...] | AsyncIterable[bytes]
    size_bytes: int


class ChunkBodies:
    """Takes bodies of at most `max_bytes` in; large ones lie in nameless files in `folder`, which no crash leaves behind."""

    def __init__(self, max_bytes: int, folder: Path | None = None) -> None:
        self._max_bytes, self._folder = max_bytes, folder

    def admitted(self, body: ChunkBody | None) -> ChunkBody:
        """Return the body if its length, None for an unknown one, may be sent; nothing of it is read."""
        if body is None:
            raise LengthRequired("a chunk needs a Content-Length header")
        if body.size_bytes > self._max_bytes:
            raise PayloadTooLarge(f"a chunk may be {self._max_bytes} bytes at most", details={"max_bytes": self._max_bytes})
        if body.size_bytes == 0:
            raise EmptyChunk("the chunk is empty; nothing was stored")
        return body

    async def gathered(self, body: ChunkBody) -> WholeChunk:
        """Read a body that is not large to its end; `BodyMismatch` unless it is as long as announced."""
        pieces, missing = list[bytes](), body.size_bytes
        async for piece in body.pieces:
            missing -= len(piece)
            if missing < 0:
                raise _too_long(body)
            pieces.append(piece)
        if missing:
            raise _too_short(body, body.size_bytes - missing)
        return WholeChunk(content=tuple(pieces), size_bytes=body.size_bytes)

    @contextlib.asynccontextmanager
    async def taken(self, body: ChunkBody) -> AsyncIterator[WholeChunk]:
        """Read the body to its end and hold it for the block; `BodyMismatch` unless it is as long as announced.

        A folder that cannot be written to is a `TransientFailure`.
        """
        if not body.large:
            yield await self.gathered(body)
            return
        file = _opened(self._folder)
        try:
            await _spool(body, file)
            yield WholeChunk(content=_read(file), size_bytes=body.size_bytes)
        finally:
            with contextlib.suppress(OSError):  # it closes all the same; what a full disk did not take is not missed
                file.close()


def _opened(folder: Path | None) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise TransientFailure(f"a large chunk needs a file, which cannot be made: {error}") from error


async def _spool(body: ChunkBody, file: IO[bytes]) -> None:
    waiting, waiting_bytes = list[bytes](), 0
    async for piece in _exactly(body):
        waiting.append(piece)
        waiting_bytes += len(piece)
        if waiting_bytes >= MEMORY_BYTES:
            await asyncio.to_thread(_write, file, b"".join(waiting))
            waiting, waiting_bytes = [], 0
    await asyncio.to_thread(_write, file, b"".join(waiting))
    file.seek(0)


def _write(file: IO[bytes], content: bytes) -> None:
    try:
        file.write(content)
        file.flush()
    except OSError as error:  # the disk is full: another chunk's end makes room
        raise TransientFailure(f"a large chunk could not be written to its file: {error}") from error


async def _read(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, MEMORY_BYTES):
        yield piece


async def _exactly(body: ChunkBody) -> AsyncIterator[bytes]:
    """Yield the pieces; `BodyMismatch` when they are too many (at once) or, at the end, too few."""
    seen = 0
    async for piece in body.pieces:
        seen += len(piece)
        if seen > body.size_bytes:
            raise _too_long(body)
        yield piece
    if seen != body.size_bytes:
        raise _too_short(body, seen)


def _too_long(body: ChunkBody) -> BodyMismatch:
    return BodyMismatch(f"the body is longer than the announced {body.size_bytes} bytes")


def _too_short(body: ChunkBody, seen: int) -> BodyMismatch:
    return BodyMismatch(f"the body ended after {seen} of the announced {body.size_bytes} bytes")


async def lively(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces; a sender that is silent for long is as good as gone."""
    iterator = aiter(pieces)
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                piece = await anext(iterator)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise ClientGone(f"nothing came for {SILENCE_S:g} s") from error
        if piece:
            yield piece
