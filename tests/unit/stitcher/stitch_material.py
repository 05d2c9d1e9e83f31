"""What the stitcher's tests are made of: a signal that tells the time, chunks of every kind, and independent readers."""

import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 16_000
PEAK = 0.5
KINDS = {
    "opus": ("libopus", "ogg", "s16"),
    "mp3": ("libmp3lame", "mp3", "s16p"),
    "m4a": ("aac", "ipod", "fltp"),
    "flac": ("flac", "flac", "s16"),
    "flac24": ("flac", "flac", "s32"),
    "wav": ("pcm_s16le", "wav", "s16"),
    "wav24": ("pcm_s24le", "wav", "s32"),
    "float": ("pcm_f32le", "wav", "flt"),
    "alaw": ("pcm_alaw", "wav", "s16"),
    "webm": ("libopus", "webm", "s16"),
    "aac": ("aac", "adts", "fltp"),
    "alac": ("alac", "ipod", "s16p"),
    "mka": ("flac", "matroska", "s16"),
    "aiff": ("pcm_s16be", "aiff", "s16"),
    "aiff24": ("pcm_s24be", "aiff", "s32"),
    "caf": ("pcm_s16be", "caf", "s16"),
    "au": ("pcm_s16be", "au", "s16"),
}


def signal(seconds: float, *, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """A tone whose pitch climbs with time, of level `PEAK`: a lag, a gap, a click or a repeat all show."""
    time = np.arange(round(seconds * rate)) / rate
    sweep = 2 * np.pi * (300 * time + (2500 - 300) / (2 * max(seconds, 1)) * time**2)
    mono = PEAK * np.sin(sweep)
    return np.stack([mono] * channels, axis=1).astype(np.float32)


def encode(path: Path, samples: np.ndarray, kind: str, *, rate: int = RATE, bit_rate: int = 64_000) -> Path:
    """`samples` as a file of that kind, by an encoder run of its own."""
    codec, container_format, sample_format = KINDS[kind]
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[1]]
    packed = np.ascontiguousarray(samples.astype(np.float32)).reshape(1, -1)
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.format = av.AudioFormat(sample_format)
        if codec not in ("flac", "alac") and not codec.startswith("pcm"):
            stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(format=sample_format, layout=layout, rate=rate)
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return path


def runs(folder: Path, samples: np.ndarray, kind: str, seconds: float = 1.0, *, rate: int = RATE) -> list[Path]:
    """`samples` in chunks, each an encoder run of its own."""
    step = round(seconds * rate)
    parts = [samples[at : at + step] for at in range(0, len(samples), step)]
    return [encode(folder / f"{kind}-{k}", part, kind, rate=rate) for k, part in enumerate(parts)]


def cut(folder: Path, data: bytes, edges: list[int], name: str = "range") -> list[Path]:
    """`data` in byte ranges, cut at `edges`."""
    paths = []
    for k, (begin, end) in enumerate(zip([0, *edges], [*edges, len(data)], strict=True)):
        paths.append(folder / f"{name}-{k}")
        paths[-1].write_bytes(data[begin:end])
    return paths


def evenly(folder: Path, data: bytes, count: int) -> list[Path]:
    """`data` in `count` byte ranges of about the same size."""
    return cut(folder, data, [len(data) * k // count for k in range(1, count)])


def pyav_read(path: Path) -> tuple[np.ndarray, int]:
    """The samples as PyAV decodes them, and their rate."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
        resampler = av.AudioResampler(format="flt", layout=stream.codec_context.layout.name, rate=rate)
        frames = [ready for frame in container.decode(stream) for ready in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray().reshape(-1, channels) for frame in frames]), rate


def sndfile_read(path: Path) -> tuple[np.ndarray, int]:
    """The samples as libsndfile reads them, which knows nothing of FFmpeg."""
    return soundfile.read(str(path), dtype="float32", always_2d=True)


def opusfile_read(path: Path) -> tuple[np.ndarray, int]:
    """Return the samples as libopusfile reads them, which is what `opusdec` stands on."""
    plain = path.with_suffix(".opusdec.wav")
    run("opusdec", "--quiet", "--no-dither", "--float", "--rate", RATE, path, plain)
    return sndfile_read(plain)


def lag_ms(samples: np.ndarray, rate: int, at: float, length: float) -> float:
    """How late the sweep of `length` seconds is heard at `at` seconds, by the best match within 40 ms."""
    wanted = signal(length, rate=rate)[:, 0]
    begin, size, reach = round(at * rate), round(0.2 * rate), round(0.04 * rate)
    reference = wanted[begin : begin + size]
    scores = [float(np.dot(reference, samples[begin + d : begin + d + size, 0])) for d in range(-reach, reach)]
    return (int(np.argmax(scores)) - reach) * 1000 / rate


def snr_db(wanted: np.ndarray, heard: np.ndarray) -> float:
    """The signal-to-noise ratio of `heard` where `wanted` was meant."""
    noise = float(np.sum(np.square(wanted - heard)))
    return 10 * float(np.log10(np.sum(np.square(wanted)) / max(noise, 1e-12)))


def program(name: str) -> str | None:
    """The path of an installed peer program, if it is there."""
    return shutil.which(name)


def run(*command: object, stdin: bytes | None = None) -> str:
    """Run a peer program; its standard output."""
    done = subprocess.run([str(word) for word in command], input=stdin, check=True, capture_output=True)
    return done.stdout.decode()
