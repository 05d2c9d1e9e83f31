"""Hashes of files; of two each is made in a thread of its own, for hashlib lets go of the GIL for blocks this large."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

from services.stitcher.bytestream import ByteStream


class Digests(NamedTuple):
    """Size and hashes (hex) of the same bytes."""

    size: int
    sha256: str
    md5: str


def digest(blocks: Iterable[bytes], into: BinaryIO | None = None) -> Digests:
    """Hash the blocks, and write them to `into` meanwhile."""
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    with ThreadPoolExecutor(2) as pool:
        for block in blocks:
            tasks = (pool.submit(sha256.update, block), pool.submit(md5.update, block))
            if into is not None:
                into.write(block)
            size += len(block)
            for task in tasks:
                task.result()
    return Digests(size, sha256.hexdigest(), md5.hexdigest())


def digest_file(path: Path) -> Digests:
    """Hash a file."""
    return digest(ByteStream([path]).blocks())


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, where nobody asks for its MD5."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def md5_of(stream: ByteStream) -> str:
    """The MD5 of the chunk bytes in order: what a device computes over what it sent."""
    md5 = hashlib.md5(usedforsecurity=False)
    for block in stream.blocks():
        md5.update(block)
    return md5.hexdigest()
