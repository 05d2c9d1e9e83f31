"""Makes what `bench.stitch` joins: the same hour of speech as independent Opus chunks, as one encoder's, and as byte ranges."""

import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from services.stitcher.containers.ogg import LAST, Page, encode_page
from services.stitcher.containers.opus import header_pages

RATE, SECONDS, BITRATE = 16_000, 5, 24_000
PER_CHUNK = SECONDS * 50
_PACKET, _PRE_SKIP = 960, 312
_REAL_SPEECH = Path("/usr/share/pocketsphinx/test/data/librivox")

Signal = NDArray[np.int16]


def source(path: Path | None) -> tuple[str, Signal]:
    """Whole chunks of 16 kHz mono samples: of the file given, of real speech where installed, else synthesized."""
    if path is None and _REAL_SPEECH.is_dir():
        name, signal = "real speech (LibriVox)", np.concatenate([_wav(one) for one in sorted(_REAL_SPEECH.glob("*.wav"))])
    elif path is not None:
        name, signal = path.name, _decoded(path)
    else:
        name, signal = "synthesized voice", _voice(60)
    length = RATE * SECONDS
    return name, signal[: max(1, len(signal) // length) * length]


def independent(signal: Signal, folder: Path, count: int) -> list[Path]:
    """Every chunk an encoder run of its own; the signal repeats until there are `count`."""
    length = RATE * SECONDS
    encoded = [_one_run(signal[at : at + length]) for at in range(0, len(signal), length)]
    return _write(folder, "independent", (_ogg(encoded[k % len(encoded)], 0, length * 3) for k in range(count)))


def continuous(signal: Signal, folder: Path, count: int) -> list[Path]:
    """One encoder's packets; every chunk has headers of its own, granules go on."""
    run = _one_run(signal)
    parts = ([run[(k * PER_CHUNK + n) % len(run)] for n in range(PER_CHUNK)] for k in range(count))
    return _write(folder, "continuous", (_ogg(part, k * PER_CHUNK * _PACKET, None) for k, part in enumerate(parts)))


def ranges(whole: bytes, folder: Path, count: int) -> list[Path]:
    """One file cut into `count` equal byte ranges."""
    size = -(-len(whole) // count)
    return _write(folder, "ranges", (whole[k * size : (k + 1) * size] for k in range(count)))


def _write(folder: Path, name: str, chunks: Iterator[bytes]) -> list[Path]:
    paths = []
    for number, data in enumerate(chunks, 1):
        paths.append(folder / f"{name}-{number:06d}")
        paths[-1].write_bytes(data)
    return paths


def _one_run(signal: Signal) -> list[bytes]:
    codec = av.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.bit_rate, codec.format, codec.layout = RATE, BITRATE, av.AudioFormat("s16"), av.AudioLayout("mono")
    frame = av.AudioFrame.from_ndarray(signal.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = RATE
    return [bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)]]


def _ogg(packets: list[bytes], start: int, samples: int | None) -> bytes:
    """An Ogg-Opus file whose granules begin at `start`, with end trimming to `samples` where given."""
    parts = [header_pages(7, 1, _PRE_SKIP, RATE)]
    for sequence, at in enumerate(range(0, len(packets), 50), 2):
        group = packets[at : at + 50]
        lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in group)
        granule, last = start + (at + len(group)) * _PACKET, at + 50 >= len(packets)
        granule = samples + _PRE_SKIP if last and samples is not None else granule
        parts.append(encode_page(Page(0, LAST if last else 0, granule, 7, sequence, lacing, b"".join(group))))
    return b"".join(parts)


def _wav(path: Path) -> Signal:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def _decoded(path: Path) -> Signal:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        frames = [ready for frame in container.decode(audio=0) for ready in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.int16)


def _voice(seconds: int) -> Signal:
    """Syllables of a buzz through two moving resonances: loud enough like speech to cost an encoder the same."""
    time = np.arange(seconds * RATE) / RATE
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time)) / RATE
    formants = 500 + 250 * np.sin(2 * np.pi * 1.9 * time), 1500 + 600 * np.sin(2 * np.pi * 1.3 * time)
    voice = sum(np.cos(n * pitch) * sum(np.exp(-(((n * 120 - f) / 250) ** 2)) for f in formants) for n in range(1, 40))
    syllables = np.clip(np.sin(2 * np.pi * 2.1 * time) * 1.5, 0, 1)
    noise = np.random.default_rng(1).standard_normal(len(time)) * 0.02
    mix = voice * syllables + noise
    scaled: Signal = (mix / np.abs(mix).max() * 24_000).astype(np.int16)
    return scaled
