"""libopus itself, called through ctypes: PyAV's wheels ship it, and ctypes lets go of the GIL, so threads scale.

PyAV's own Opus decoder works at 48 kHz only, three times the samples most speech needs. Where no libopus is found (`load()`
is None) the joiner falls back on PyAV's codec in one thread.
"""

import ctypes
import re
from collections.abc import Iterator
from contextlib import suppress
from ctypes.util import find_library
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]  # shape (samples, channels), C order

_APPLICATION_AUDIO = 2049
_SET_BITRATE, _SET_COMPLEXITY, _SET_GAIN = 4002, 4010, 4034
_MAX_PACKET = 1275 * 3 + 7
_COMPLEXITY = 10
_NEEDED = ("opus_encode_float", "opus_decode_float", "opus_encoder_ctl", "opus_decoder_ctl")


class OpusRefused(Exception):
    """libopus answered with an error code: the packet or the parameters make no sense to it."""


@cache
def load() -> ctypes.CDLL | None:
    """The libopus PyAV loaded, one lying beside PyAV, or the system's; None when there is none."""
    for path in _candidates():
        with suppress(OSError):
            library = ctypes.CDLL(path)
            if all(hasattr(library, name) for name in _NEEDED):
                return _typed(library)
    return None


def _candidates() -> list[str]:
    found: list[str] = []
    with suppress(OSError):  # Linux only
        found += re.findall(r"\S*/libopus[-.]\S*", Path("/proc/self/maps").read_text())
    package = Path(av.__file__).parent
    for folder in (package.parent / "av.libs", package / ".dylibs", package.parent / "av.libs" / ".dylibs"):
        found += [str(path) for path in sorted(folder.glob("*opus*")) if "opusfile" not in path.name]
    system = find_library("opus") if not found else None
    return list(dict.fromkeys(found)) + ([system] if system else [])


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.opus_encoder_create.restype = pointer
    library.opus_encoder_create.argtypes = [number, number, number, pointer]
    library.opus_encoder_destroy.argtypes = [pointer]
    library.opus_encoder_ctl.argtypes = [pointer, number]  # variadic from there on
    library.opus_encode_float.argtypes = [pointer, pointer, number, pointer, ctypes.c_int32]
    library.opus_decoder_create.restype = pointer
    library.opus_decoder_create.argtypes = [number, number, pointer]
    library.opus_decoder_destroy.argtypes = [pointer]
    library.opus_decoder_ctl.argtypes = [pointer, number]  # variadic from there on
    library.opus_decode_float.argtypes = [pointer, ctypes.c_char_p, ctypes.c_int32, pointer, number, number]
    return library


class Decoder:
    """One decoder with its own state; packets in, float samples out at the rate asked for, louder by `gain` (1/256 dB)."""

    def __init__(self, library: ctypes.CDLL, rate: int, channels: int, gain: int = 0) -> None:
        error = ctypes.c_int()
        self._library = library
        self._decode = library.opus_decode_float
        self._state = library.opus_decoder_create(rate, channels, ctypes.byref(error))
        if not self._state:
            raise OpusRefused(f"decoder for {rate} Hz, {channels} channels: {error.value}")
        library.opus_decoder_ctl(self._state, _SET_GAIN, ctypes.c_int(gain))

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_decoder_destroy(self._state)

    def decode(self, packet: bytes, address: int, room: int) -> int:
        """Write the packet's samples at `address`, which has `room` for so many per channel; how many came."""
        count: int = self._decode(self._state, packet, len(packet), address, room, 0)
        if count < 0:
            raise OpusRefused(f"packet of {len(packet)} bytes: {count}")
        return count


class Encoder:
    """One encoder run: frames of 20 ms in, packets out. Settings as the `opusenc` and `ffmpeg` programs choose them."""

    def __init__(self, library: ctypes.CDLL, rate: int, channels: int, bitrate: int) -> None:
        error = ctypes.c_int()
        self._library = library
        self._encode = library.opus_encode_float
        self._state = library.opus_encoder_create(rate, channels, _APPLICATION_AUDIO, ctypes.byref(error))
        if not self._state:
            raise OpusRefused(f"encoder for {rate} Hz, {channels} channels: {error.value}")
        self._control(_SET_BITRATE, bitrate)
        self._control(_SET_COMPLEXITY, _COMPLEXITY)
        self._frame = rate // 50
        self._stride = self._frame * channels * 4
        self._packet = (ctypes.c_ubyte * _MAX_PACKET)()
        self._packet_address = ctypes.addressof(self._packet)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._library.opus_encoder_destroy(self._state)

    def encode(self, samples: Samples) -> Iterator[bytes]:
        """The packets of all whole 20 ms frames of `samples`."""
        begin = samples.ctypes.data
        for address in range(begin, begin + len(samples) // self._frame * self._stride, self._stride):
            size = self._encode(self._state, address, self._frame, self._packet_address, _MAX_PACKET)
            if size < 0:
                raise OpusRefused(f"frame at {address - begin}: {size}")
            yield ctypes.string_at(self._packet_address, size)

    def _control(self, request: int, value: int) -> None:
        self._library.opus_encoder_ctl(self._state, request, ctypes.c_int(value))
