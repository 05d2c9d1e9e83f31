"""A file whose pictures begin long after its sound, as a camera writes that is switched on during a call."""

import struct
from pathlib import Path

import numpy as np

RATE = 44_100
HERTZ = 440
SOUND, PICTURE = (8, b"\x3e"), (9, b"\x12")  # of FLV's tags: PCM of 16 bits, and Sorenson's H.263


def late_pictures(path: Path, seconds: int) -> Path:
    """Write an FLV of a tone, with pictures in its last second that its header does not tell of."""
    second = (0.5 * 32767 * np.sin(2 * np.pi * HERTZ * np.arange(RATE) / RATE)).astype("<i2")
    content = b"FLV\x01\x04" + struct.pack(">II", 9, 0)
    for moment_ms in range(0, seconds * 1000, 100):
        content += _tag(SOUND, moment_ms, np.split(second, 10)[moment_ms // 100 % 10].tobytes())
        if moment_ms >= (seconds - 1) * 1000:
            content += _tag(PICTURE, moment_ms, bytes(100))
    path.write_bytes(content)
    return path


def _tag(kind: tuple[int, bytes], moment_ms: int, data: bytes) -> bytes:
    number, form = kind
    body = form + data
    head = struct.pack(">BHBHBBHB", number, *divmod(len(body), 256), *divmod(moment_ms, 256), 0, 0, 0)
    return head + body + struct.pack(">I", len(head) + len(body))
