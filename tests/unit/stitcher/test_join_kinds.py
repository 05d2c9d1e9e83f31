"""Chunks of every other kind: MP3, AAC, WebM, FLAC and WAV in all the ways devices write them."""

import struct
from pathlib import Path

import numpy as np
import pytest
from stitch_material import PEAK, RATE, encode, evenly, lag_ms, program, pyav_read, run, runs, signal, sndfile_read

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers import wav
from services.stitcher.join import join_chunks

SECONDS = 5.0


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def raw_wav(layout: bytes, data: bytes, *, data_size: int | None = None, before: bytes = b"") -> bytes:
    """A WAV written by hand: its format chunk, whatever stands before the samples, a size that may lie."""
    size = len(data) if data_size is None else data_size
    body = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout + before + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", len(body) if data_size is None else size) + body


PLAIN = struct.pack("<HHIIHH", 1, 1, RATE, RATE * 2, 2, 16)
EXTENSIBLE = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, RATE, RATE * 2, 2, 16, 22, 16, 4, 1) + bytes.fromhex(
    "000000001000800000aa00389b71"
)


@pytest.mark.parametrize("kind", ["mp3", "m4a", "webm"])
def test_lossy_runs_become_one_opus_of_the_right_length(tmp_path, work, kind):
    chunks = runs(tmp_path, signal(SECONDS), kind)
    joined = join_chunks(chunks, work)
    assert (joined.method, joined.content_type, joined.codec) == ("reencode", "audio/ogg", "opus")
    assert joined.duration_ms == 5000
    for read in (pyav_read, sndfile_read):
        heard, rate = read(joined.path)
        assert abs(len(heard) / rate - SECONDS) < 0.001
        assert np.abs(heard).max() < max(PEAK, *(np.abs(pyav_read(path)[0]).max() for path in chunks)) * 1.1
        for at in (0.4, 1.5, 2.9, 4.4):
            assert abs(lag_ms(heard, rate, at, SECONDS)) < 0.7, (kind, at)


@pytest.mark.parametrize("kind", ["mp3", "m4a"])
def test_rates_opus_does_not_know_are_resampled_without_drift(tmp_path, work, kind):
    chunks = runs(tmp_path, signal(SECONDS, rate=44_100, channels=2), kind, rate=44_100)
    joined = join_chunks(chunks, work)
    assert (joined.channels, joined.duration_ms) == (2, 5000)
    heard, rate = sndfile_read(joined.path)
    assert abs(len(heard) / rate - SECONDS) < 0.001
    assert abs(lag_ms(heard, rate, 4.4, SECONDS)) < 0.7


@pytest.mark.parametrize("kind", ["opus", "mp3", "m4a", "wav", "flac", "webm", "aac"])
@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_a_last_chunk_of_a_moment_is_joined_like_the_others(tmp_path, kind, rate):
    """Whoever presses stop does so at any time."""
    samples = signal(8.0, rate=rate)
    for count in (16, 100, 500, 1000):
        for begin in range(0, 24_000, 2400):
            folder = tmp_path / f"{count}-{begin}"
            (folder / "work").mkdir(parents=True)
            chunks = [
                *runs(folder, samples[:rate], kind, rate=rate),
                encode(folder / "last", samples[begin : begin + count], kind, rate=rate),
            ]
            wanted_ms = 1000 + count * 1000 / rate
            joined = join_chunks(chunks, folder / "work", round(wanted_ms))
            assert -1 <= joined.duration_ms - wanted_ms <= (5 * 1024 * 1000 / rate if kind == "aac" else 20)


LOSSLESS = [
    ("flac", 1.0),
    ("flac24", 0.77),
    ("alac", 1.0),
    ("mka", 0.5),
    ("aiff", 1.0),
    ("aiff24", 0.77),
    ("caf", 0.77),
    ("au", 1.0),
]


@pytest.mark.parametrize(("kind", "seconds"), LOSSLESS)
def test_lossless_runs_become_one_flac_equal_to_the_sample(tmp_path, work, kind, seconds):
    chunks = runs(tmp_path, signal(SECONDS), kind, seconds)
    joined = join_chunks(chunks, work)
    assert (joined.method, joined.content_type, joined.extension) == ("reencode", "audio/flac", "flac")
    wanted = np.concatenate([pyav_read(path)[0] for path in chunks])
    for read in (pyav_read, sndfile_read):
        assert np.array_equal(read(joined.path)[0], wanted)
    assert joined.duration_ms == 5000


@pytest.mark.parametrize("kind", ["wav", "wav24", "float", "alaw"])
def test_wav_runs_become_one_wav_equal_to_the_sample(tmp_path, work, kind):
    chunks = runs(tmp_path, signal(SECONDS), kind)
    joined = join_chunks(chunks, work)
    assert (joined.method, joined.content_type, joined.duration_ms) == ("pcm", "audio/wav", 5000)
    wanted = np.concatenate([sndfile_read(path)[0] for path in chunks])
    for read in (pyav_read, sndfile_read):
        assert np.array_equal(read(joined.path)[0], wanted)


def test_wav_headers_may_differ_as_long_as_the_samples_do_not(tmp_path, work):
    samples = (signal(4.0) * 32767).astype("<i2").tobytes()
    quarter = len(samples) // 4
    parts = [samples[k * quarter : (k + 1) * quarter] for k in range(4)]
    files = [
        raw_wav(PLAIN, parts[0]),
        raw_wav(EXTENSIBLE, parts[1], before=b"LIST\x04\0\0\0abcd"),
        raw_wav(PLAIN, parts[2], data_size=0xFFFFFFFF),
        raw_wav(PLAIN + b"\0\0", parts[3], data_size=0),
    ]
    chunks = [tmp_path / str(k) for k in range(4)]
    for path, data in zip(chunks, files, strict=True):
        path.write_bytes(data)
    joined = join_chunks(chunks, work)
    assert (joined.method, joined.duration_ms) == ("pcm", 4000)
    assert joined.path.read_bytes()[44:] == samples


def test_wav_samples_that_look_like_a_file_do_not_mislead(tmp_path, work):
    samples = (signal(2.0) * 32767).astype("<i2").tobytes()
    trap = raw_wav(PLAIN, samples[:3200])
    whole = raw_wav(PLAIN, samples[:32_000] + trap + samples[:32_000])
    chunks = evenly(tmp_path, whole, 1)
    (tmp_path / "a").write_bytes(whole[: 44 + 32_000])
    (tmp_path / "b").write_bytes(whole[44 + 32_000 :])
    assert (tmp_path / "b").read_bytes().startswith(b"RIFF")
    joined = join_chunks([tmp_path / "a", tmp_path / "b"], work)
    assert (joined.method, joined.path.read_bytes()) == ("concatenate", chunks[0].read_bytes())


def test_a_wav_beyond_four_gigabytes_is_rf64(tmp_path):
    base = tmp_path / "base"
    base.write_bytes(raw_wav(PLAIN, b"\0\0"))
    with ByteStream([base]) as stream:
        found = wav.scan(stream)
    size = 5 << 30
    header = wav.header(found, size)
    assert header.startswith(b"RF64")
    big = tmp_path / "big.wav"
    with big.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size)  # sparse: nothing is written
    with ByteStream([big]) as stream:
        read = wav.scan(stream)
    assert (read.data_size, read.samples, read.end) == (size, size // 2, len(header) + size)


def test_more_than_two_channels_become_flac(tmp_path, work):
    chunks = runs(tmp_path, signal(2.0, rate=48_000, channels=6), "m4a", rate=48_000)
    joined = join_chunks(chunks, work)
    assert (joined.codec, joined.channels, joined.duration_ms) == ("flac", 6, 2000)


def test_adts_frames_are_kept_as_they_are(tmp_path, work):
    chunks = runs(tmp_path, signal(SECONDS), "aac")
    joined = join_chunks(chunks, work)
    assert (joined.method, joined.content_type, joined.extension) == ("concatenate", "audio/aac", "aac")
    assert joined.path.read_bytes() == b"".join(path.read_bytes() for path in chunks)


def test_mp3_frames_without_a_tag_are_one_stream_going_on(tmp_path, work):
    whole = encode(tmp_path / "whole", signal(SECONDS), "mp3").read_bytes()
    frame = 288  # 64 kb/s at 16 kHz: MPEG-2 frames of 36 ms
    start = whole.index(b"\xff\xf3", 1)
    assert whole[start + frame : start + frame + 2] == b"\xff\xf3", "the fixture's frames are not where expected"
    edges = [start + frame * 30, start + frame * 77]
    parts = [whole[: edges[0]], whole[edges[0] : edges[1]], whole[edges[1] :]]
    chunks = [tmp_path / str(k) for k in range(3)]
    for path, data in zip(chunks, parts, strict=True):
        path.write_bytes(data)
    joined = join_chunks(chunks, work)
    assert (joined.method, joined.path.read_bytes()) == ("concatenate", whole)


@pytest.mark.skipif(program("ffmpeg") is None, reason="the ffmpeg program is a peer, not a dependency")
@pytest.mark.parametrize("kind", ["mp3", "m4a", "webm", "flac", "oga"])
def test_chunks_of_the_ffmpeg_program(tmp_path, work, kind):
    source = encode(tmp_path / "source.wav", signal(SECONDS), "wav")
    chunks = [tmp_path / f"{second}.{kind}" for second in range(int(SECONDS))]
    for second, chunk in enumerate(chunks):
        codec = {"webm": ["-c:a", "libopus"], "oga": ["-c:a", "libvorbis"]}.get(kind, [])
        run("ffmpeg", "-v", "error", "-ss", second, "-t", 1, "-i", source, *codec, chunk)
    joined = join_chunks(chunks, work)
    heard, rate = sndfile_read(joined.path)
    assert abs(len(heard) / rate - SECONDS) < 0.002
    assert abs(lag_ms(heard, rate, 4.4, SECONDS)) < 0.7
