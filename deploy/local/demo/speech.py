"""Speech as devices send it: Ogg-Opus, each chunk from an encoder run of its own."""

import io
import math
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

RATE = 16_000
_FRAMES_PER_SECOND = 50  # Opus frames of 20 ms

Samples = npt.NDArray[np.int16]


def samples_of(path: Path) -> Samples:
    """Return a 16 kHz mono WAV file's samples."""
    with wave.open(str(path), "rb") as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
            raise ValueError(f"{path} is not 16 kHz mono PCM")
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)


def ogg_opus(samples: Samples) -> bytes:
    """Encode samples as one Ogg-Opus file."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono", bit_rate=32_000)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


def chunked(samples: Samples, count: int) -> Iterator[bytes]:
    """Cut samples into `count` chunks, each encoded by itself, as a device that starts a file every few seconds does."""
    frame = RATE // _FRAMES_PER_SECOND
    size = math.ceil(len(samples) / count / frame) * frame
    for start in range(0, len(samples), size):
        yield ogg_opus(samples[start : start + size])
