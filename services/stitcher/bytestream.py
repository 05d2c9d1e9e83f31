"""Chunks in order, read as one stream of bytes without ever holding more than a block of them."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Self

BLOCK = 1 << 18


class ByteStream:
    """The concatenation of local files, readable at any offset; keeps one file open and one block in memory."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.sizes = [path.stat().st_size for path in self.paths]
        self.starts = [0, *accumulate(self.sizes)]
        self.size = self.starts.pop()
        self._index = -1
        self._file: BinaryIO | None = None
        self._block = b""
        self._block_start = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the open file back; reading again reopens it."""
        if self._file is not None:
            self._file.close()
        self._file, self._index = None, -1

    def read_at(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset`, fewer only at the end of the stream."""
        at = offset - self._block_start
        if at >= 0 and at + count <= len(self._block):
            return self._block[at : at + count]
        data = self._read(offset, max(count, BLOCK))
        self._block, self._block_start = data, offset
        return data[:count]

    def blocks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """Every byte in order, in blocks of at most `size`; small chunks are gathered."""
        held, count = [], 0
        for path in self.paths:
            with path.open("rb", buffering=0) as file:
                while block := file.read(size - count):
                    held.append(block)
                    count += len(block)
                    if count == size:
                        yield b"".join(held)
                        held, count = [], 0
        if held:
            yield b"".join(held)

    def parts(self, ranges: Iterable[range]) -> Iterator[bytes]:
        """The bytes at these offsets in order, in blocks."""
        for part in ranges:
            for at in range(part.start, part.stop, BLOCK):
                yield self.read_at(at, min(BLOCK, part.stop - at))

    def only_zeros_from(self, offset: int) -> bool:
        """Whether nothing but zeros is there from `offset` on: flash memory is written in blocks."""
        return not any(any(self.read_at(at, BLOCK)) for at in range(offset, self.size, BLOCK))

    def number_at(self, offset: int) -> int:
        """The number (from 1) of the chunk that holds the byte at `offset`; past the end, the last one."""
        return max(1, bisect_right(self.starts, min(offset, self.size - 1)))

    def only(self, index: int) -> "ByteStream":
        """The chunk at `index` (from 0) as a stream of its own."""
        return ByteStream([self.paths[index]])

    def _read(self, offset: int, count: int) -> bytes:
        parts: list[bytes] = []
        index = bisect_right(self.starts, offset) - 1
        while count > 0 and 0 <= index < len(self.paths):
            file = self._open(index)
            file.seek(offset - self.starts[index])
            part = file.read(count)
            parts.append(part)
            count -= len(part)
            offset += len(part)
            index += 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _open(self, index: int) -> BinaryIO:
        if self._file is None or self._index != index:
            if self._file is not None:
                with suppress(OSError):
                    self._file.close()
            self._file = self.paths[index].open("rb", buffering=0)
            self._index = index
        return self._file
