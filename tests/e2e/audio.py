"""Sound to send and to know again: tones that tell chunks apart, speech, and what a decoder makes of the result."""

import io
from functools import cache
from typing import Any

import av
import numpy as np

from deploy.local.demo.speech import RATE, ogg_opus

TONE_S = 1.0
LEVEL = 0.25
_GRID_HZ = 20  # two tones that are told apart
_LOWEST_HZ, _HIGHEST_HZ = 400, 6400
TONES = (_HIGHEST_HZ - _LOWEST_HZ) // _GRID_HZ


def pitch(number: int) -> int:
    """The frequency of tone `number`."""
    return _LOWEST_HZ + number % TONES * _GRID_HZ


@cache
def tone(number: int, seconds: float = TONE_S) -> bytes:
    """Tone `number` as an Ogg-Opus chunk of its own."""
    return ogg_opus(tone_samples(number, seconds))


def tone_samples(number: int, seconds: float = TONE_S) -> np.ndarray:
    """Tone `number` as samples."""
    time = np.arange(round(RATE * seconds)) / RATE
    return (LEVEL * 32767 * np.sin(2 * np.pi * pitch(number) * time)).astype(np.int16)


def heard_tones(audio: bytes, seconds: float = TONE_S) -> list[int]:
    """The numbers of the tones that a file holds, one after the other."""
    samples = decoded(audio)
    size = round(RATE * seconds)
    assert abs(len(samples) / size - round(len(samples) / size)) < 0.03, f"{len(samples) / RATE} s of tones"
    parts = [samples[at + size // 4 : at + size * 3 // 4] for at in range(0, len(samples) - size // 2, size)]
    return [_loudest(part) for part in parts]


def _loudest(part: np.ndarray) -> int:
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    return round((float(np.argmax(spectrum)) * RATE / len(part) - _LOWEST_HZ) / _GRID_HZ)


def decoded(audio: bytes) -> np.ndarray:
    """A file's sound as float samples, 16 kHz mono."""
    with av.open(io.BytesIO(audio)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames = [ready for frame in container.decode(audio=0) for ready in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def as_float(samples: np.ndarray) -> np.ndarray:
    """16 bit samples as the decoder gives them."""
    return samples.astype(np.float32) / 32768


def lags_s(source: np.ndarray, heard: np.ndarray, step_s: float = 2.0, reach_s: float = 0.1) -> list[float]:
    """How late each stretch of the source is heard, by cross-correlation; silent stretches tell nothing."""
    size, reach = round(0.5 * RATE), round(reach_s * RATE)
    lags = []
    for at in range(reach, len(source) - size - reach, round(step_s * RATE)):
        part = source[at : at + size]
        if np.sqrt(np.mean(part**2)) < 0.01:
            continue
        around = heard[at - reach : at + size + reach]
        lags.append((int(np.argmax(np.correlate(around, part, "valid"))) - reach) / RATE)
    return lags


def level_steps_db(source: np.ndarray, heard: np.ndarray, window_s: float = 0.2) -> list[float]:
    """By how much the level of each audible stretch differs from the source's."""
    size, length = round(window_s * RATE), min(len(source), len(heard))
    steps = []
    for at in range(0, length - size, size):
        wanted, found = (float(np.sqrt(np.mean(one[at : at + size] ** 2))) for one in (source, heard))
        if wanted > 0.02:
            steps.append(20 * np.log10(max(found, 1e-6) / wanted))
    return steps


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    """16 bit samples (one row a channel) as a WAV file."""
    return _encoded(samples, "wav", "pcm_s16le", rate)


def webm(samples: np.ndarray) -> bytes:
    """Samples as a browser's recorder writes them."""
    return _encoded(samples, "webm", "libopus", RATE)


def _encoded(samples: np.ndarray, container_format: str, codec: str, rate: int) -> bytes:
    rows = np.atleast_2d(samples)
    layout = "mono" if len(rows) == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(rows.T.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


def one_encoder_chunks(samples: np.ndarray, count: int) -> list[bytes]:
    """One Opus encoder's packets spread over `count` Ogg files, whose times go on from one to the next."""
    with av.open(io.BytesIO(ogg_opus(samples))) as container:
        source = container.streams.audio[0]
        packets = [packet for packet in container.demux(source) if packet.size]
        size = -(-len(packets) // count)
        return [_copied(source, packets[at : at + size]) for at in range(0, len(packets), size)]


def _copied(source: Any, packets: list[Any]) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream_from_template(source)
        for packet in packets:
            packet.stream = stream
            container.mux(packet)
    return file.getvalue()


def byte_ranges(data: bytes, count: int) -> list[bytes]:
    """A file in `count` pieces, cut anywhere."""
    size = -(-len(data) // count)
    return [data[at : at + size] for at in range(0, len(data), size)]
