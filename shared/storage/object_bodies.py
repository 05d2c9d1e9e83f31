"""What is sent to the store: bytes, a file or a client's stream, measured and hashed on the way."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from shared.domain.stored_object import BodyMismatch

Pieces = tuple[bytes, ...]
"""A small body that is here whole, in the pieces in which it came: nobody has to copy them together."""

Content = bytes | Pieces
PIECE_BYTES = 256 * 1024
SILENCE_S = 30.0  # the store neither reads nor answers for this long: it is gone


class MeasuredBody:
    """A body of exactly `size_bytes`: its last piece leaves only when the source has ended there, so no other length is stored.

    `md5` is the hex digest of what was sent. `fault` is the source's own error when it raised one. Iterating again starts anew
    when `replayable`; a client's stream is replayable only until the first byte was taken from it. `limit` runs while the store
    takes a piece, never while the source is slow.
    """

    def __init__(self, source: Callable[[], AsyncIterable[bytes]], size_bytes: int, *, replayable: bool) -> None:
        self._source = source
        self._always_replayable = replayable
        self._digest = hashlib.md5(usedforsecurity=False)
        self._touched = False
        self.size_bytes = size_bytes
        self.fault: Exception | None = None
        self.limit: asyncio.Timeout | None = None

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent once more."""
        return self._always_replayable or not self._touched

    @property
    def md5(self) -> str:
        """Hex MD5 of everything that was sent."""
        return self._digest.hexdigest()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces of at most `PIECE_BYTES`."""
        if not self.replayable:
            raise RuntimeError("this body was sent already")
        self._touched = True
        self._digest = hashlib.md5(usedforsecurity=False)
        async for piece in self._complete():
            self._digest.update(piece)
            self._allow(SILENCE_S)
            yield piece
            self._allow(None)

    def _allow(self, seconds: float | None) -> None:
        if self.limit is not None:
            self.limit.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)

    async def _complete(self) -> AsyncIterator[bytes]:
        """Yield the source's pieces one late, so that its length is known before the last one leaves."""
        held = b""
        try:
            async for piece in exactly(self._source(), self.size_bytes):
                for start in range(0, len(held), PIECE_BYTES):
                    yield held[start : start + PIECE_BYTES]
                held = piece
        except Exception as fault:
            self.fault = fault
            raise
        for start in range(0, len(held), PIECE_BYTES):
            yield held[start : start + PIECE_BYTES]


def stream_body(source: AsyncIterable[bytes], size_bytes: int) -> MeasuredBody:
    """Return the body for a stream that can be read once."""
    return MeasuredBody(lambda: source, size_bytes, replayable=False)


def file_body(path: Path, size_bytes: int) -> MeasuredBody:
    """Return the body for a file, read outside the event loop."""
    return MeasuredBody(lambda: _read_file(path), size_bytes, replayable=True)


def pieces_body(pieces: Pieces) -> MeasuredBody:
    """Return the body for bytes too many to be sent in one write."""
    return MeasuredBody(lambda: _each(pieces), sum(map(len, pieces)), replayable=True)


async def gathered(source: AsyncIterable[bytes], size_bytes: int) -> Pieces:
    """Return a small body whole; `BodyMismatch` unless it has exactly `size_bytes`, noticed before more is kept."""
    return tuple([piece async for piece in exactly(source, size_bytes)])


async def exactly(source: AsyncIterable[bytes], size_bytes: int) -> AsyncIterator[bytes]:
    """Yield the pieces of `source` that are not empty; `BodyMismatch` when they are too many (at once) or too few."""
    seen = 0
    async for piece in source:
        seen += len(piece)
        if seen > size_bytes:
            raise BodyMismatch(f"the body is longer than the announced {size_bytes} bytes")
        if piece:
            yield piece
    if seen != size_bytes:
        raise BodyMismatch(f"the body ended after {seen} of the announced {size_bytes} bytes")


async def _each(pieces: Pieces) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _read_file(path: Path) -> AsyncIterator[bytes]:
    file: BinaryIO = await asyncio.to_thread(path.open, "rb")
    with file:
        while piece := await asyncio.to_thread(file.read, 4 * PIECE_BYTES):
            yield piece
