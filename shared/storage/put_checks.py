"""How the store is made to refuse a small body that arrives damaged: by CRC-32 where it compares one, else by MD5.

An MD5 takes fifteen times as long as a CRC-32, and was a sixth of what a chunk costs the API. zlib's CRC-32 takes three
times as long as ISA-L's, and lets go of the interpreter, which another thread may then keep for milliseconds. A store that
compares `x-amz-checksum-crc32` repeats it in its answer (AWS, MinIO, SeaweedFS); one that does not know the header passes it
over, as the vendors' own clients send it by default.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence

from isal import isal_zlib

CRC32 = "x-amz-checksum-crc32"
_MD5 = "Content-MD5"


class PutChecks:
    """What the first answers have shown of one store: until one has come, both sums are sent."""

    def __init__(self) -> None:
        self._known: bool | None = None  # whether it compares CRC-32

    def headers(self, pieces: Sequence[bytes]) -> dict[str, str]:
        """Return the headers by which the store recognises damage to the body that is made of `pieces`."""
        headers = {} if self._known is False else {CRC32: _base64(_crc32(pieces).to_bytes(4))}
        if not self._known:
            headers[_MD5] = _base64(hashlib.md5(b"".join(pieces), usedforsecurity=False).digest())
        return headers

    def passed(self, sent: Mapping[str, str], answered: Mapping[str, str]) -> bool:
        """Say whether the store compared the CRC-32 that was `sent`, and remember; if not, its ETag has to be looked at."""
        if CRC32 not in sent:
            return False
        self._known = answered.get(CRC32) == sent[CRC32]
        return self._known


def _crc32(pieces: Sequence[bytes]) -> int:
    crc = 0
    for piece in pieces:
        crc = isal_zlib.crc32(piece, crc)
    return crc


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
