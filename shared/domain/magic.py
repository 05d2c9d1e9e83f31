"""What kind of media some bytes are, told by their beginning."""

from collections.abc import Callable

from shared.domain.media import MediaType

HEAD_BYTES = 64
"""How much of a file `media_kinds` needs to see."""

READERS = {"format_whitelist": "aac,aiff,amr,asf,au,avi,caf,flac,flv,matroska,mov,mp3,mpegts,ogg,w64,wav"}
"""What FFmpeg may take a stranger's file for, as options of its `open`: left to itself it also follows lists of other files."""

_AUDIO = frozenset({MediaType.AUDIO})
_IMAGE = frozenset({MediaType.IMAGE})
_AUDIO_OR_VIDEO = frozenset({MediaType.AUDIO, MediaType.VIDEO})
_NOTHING: frozenset[MediaType] = frozenset()

_ID3 = b"ID3"
_RIFF = (b"RIFF", b"RIFX", b"RF64")
_PREFIXES: tuple[tuple[bytes, frozenset[MediaType]], ...] = (
    (b"OggS", _AUDIO_OR_VIDEO),
    (b"\x1a\x45\xdf\xa3", _AUDIO_OR_VIDEO),  # Matroska and WebM
    (b"fLaC", _AUDIO),
    (_ID3, _AUDIO),
    (b"ADIF", _AUDIO),
    (b"\xff\xd8\xff", _IMAGE),  # JPEG
    (b"\x89PNG\r\n\x1a\n", _IMAGE),
)
_AUDIO_BRANDS = (b"M4A ", b"M4B ")


def media_kinds(head: bytes) -> frozenset[MediaType]:
    """Return the kinds of media that a file beginning with `head` may be; nothing when it is none that we take.

    Containers that hold sound, pictures or both (MP4, WebM, Ogg) are told apart only by reading further, so both are possible.
    """
    for prefix, kinds in _PREFIXES:
        if head.startswith(prefix):
            return kinds
    for recognise in _RECOGNISERS:
        if kinds := recognise(head):
            return kinds
    return _NOTHING


def _wave(head: bytes) -> frozenset[MediaType]:
    return _AUDIO if head[:4] in _RIFF and head[8:12] == b"WAVE" else _NOTHING


def _mp4(head: bytes) -> frozenset[MediaType]:
    if head[4:8] != b"ftyp":
        return _NOTHING
    return _AUDIO if head[8:12] in _AUDIO_BRANDS else _AUDIO_OR_VIDEO


def _mpeg_frame(head: bytes) -> frozenset[MediaType]:
    """Recognise MP3 and AAC in ADTS by the sync word and the fields that may not have certain values."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:  # noqa: PLR2004 - the sync word
        return _NOTHING
    adts = head[1] & 0xF6 == 0xF0  # noqa: PLR2004 - 12 bits of sync and layer 0
    if adts:
        return _AUDIO if head[2] >> 2 & 0xF < 13 else _NOTHING  # noqa: PLR2004 - sampling rates
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    return _AUDIO if version != 1 and layer != 0 and bitrate not in (0, 15) and rate != 3 else _NOTHING  # noqa: PLR2004


_RECOGNISERS: tuple[Callable[[bytes], frozenset[MediaType]], ...] = (_wave, _mp4, _mpeg_frame)
