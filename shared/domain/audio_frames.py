"""Frames of MPEG layer III and of AAC in ADTS, and the tags before them: what their first bytes say."""

from collections.abc import Callable
from typing import NamedTuple

_MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


class Frame(NamedTuple):
    """One frame's header: its size in bytes, and what must not change between frames."""

    size: int
    samples: int
    rate: int
    channels: int


Parse = Callable[[bytes], Frame | None]


def mp3_frame(head: bytes) -> Frame | None:
    """The layer III frame whose header these four bytes are."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:  # noqa: PLR2004
        return None
    version, rate_index, kbps_index = head[1] >> 3 & 3, head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or rate_index == 3 or kbps_index in (0, 15):  # noqa: PLR2004 - reserved, or free format
        return None
    rate = _MPEG_RATES[version][rate_index]
    samples, kbps = (1152, _MPEG1_KBPS[kbps_index]) if version == 3 else (576, _MPEG2_KBPS[kbps_index])  # noqa: PLR2004
    return Frame(samples // 8 * kbps * 1000 // rate + (head[2] >> 1 & 1), samples, rate, 1 if head[3] >> 6 == 3 else 2)  # noqa: PLR2004


def adts_frame(head: bytes) -> Frame | None:
    """The ADTS frame whose header these six bytes are."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:  # noqa: PLR2004
        return None
    rate_index, channels = head[2] >> 2 & 15, (head[2] & 1) << 2 | head[3] >> 6
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if rate_index >= len(_AAC_RATES) or size < 8:  # noqa: PLR2004
        return None
    return Frame(size, 1024, _AAC_RATES[rate_index], channels)


def id3_size(head: bytes) -> int:
    """The length of the ID3v2 tag these bytes begin with; 0 for none."""
    if head[:3] != b"ID3" or len(head) < 10 or head[3] == 0xFF or any(byte & 0x80 for byte in head[6:10]):  # noqa: PLR2004
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)
