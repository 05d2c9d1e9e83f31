"""Encoding side by side: seams that cannot be heard, and lengths that are right whatever the cut."""

import threading
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from stitch_material import RATE, lag_ms, runs, signal, sndfile_read, snr_db

from services.stitcher import encode, libopus
from services.stitcher.bytestream import ByteStream
from services.stitcher.containers import opus
from services.stitcher.encode import Target, encode_opus, fitting_bitrate
from services.stitcher.join import _cores, join_chunks
from services.stitcher.segments import PREROLL, Cutter

CORES = min(_cores(), 8)
MANY = 64  # so many threads share the memory that segments are five seconds long
TARGET = Target(RATE, 1, 24_000)


def encoded(path: Path, samples: np.ndarray, *, threads: int, target: Target = TARGET) -> np.ndarray:
    blocks = np.array_split(samples, 7)
    assert encode_opus(blocks, target, path, threads=threads, library=libopus.load()) == len(samples)
    heard, rate = sndfile_read(path)
    assert rate == target.rate
    return heard


def test_libopus_is_found_beside_pyav():
    assert libopus.load() is not None


@pytest.mark.skipif(CORES < 2, reason="there is one core only")
def test_one_long_recording_is_encoded_on_all_cores_at_once(tmp_path, monkeypatch):
    number, encode_one, together = count(1), encode._encode, threading.Barrier(CORES, timeout=30)

    def beside_others(*segment):
        if next(number) <= CORES:
            together.wait()  # raises when the others do not come
        return encode_one(*segment)

    monkeypatch.setattr(encode, "_encode", beside_others)
    seconds = 31.0 * CORES
    (tmp_path / "work").mkdir()
    joined = join_chunks(runs(tmp_path, signal(seconds), "opus", 15.5), tmp_path / "work")
    assert (joined.method, joined.duration_ms) == ("reencode", seconds * 1000)


def test_a_seam_is_as_good_as_an_uncut_run(tmp_path):
    samples = signal(17.0)
    uncut = encoded(tmp_path / "uncut", samples, threads=1)
    seamed = encoded(tmp_path / "seamed", samples, threads=MANY)
    assert (tmp_path / "uncut").read_bytes() != (tmp_path / "seamed").read_bytes(), "nothing was cut"
    assert np.abs(seamed).max() < np.abs(uncut).max() * 1.05
    step = RATE // 10
    losses = [
        snr_db(samples[at : at + step], uncut[at : at + step]) - snr_db(samples[at : at + step], seamed[at : at + step])
        for at in range(step, len(samples) - step, step)
    ]
    assert max(losses) < 8, "a seam stands out"
    assert np.mean(losses) < 0.3, "the cut run is worse throughout"


def test_a_cut_run_keeps_time(tmp_path):
    heard = encoded(tmp_path / "out", signal(17.0), threads=MANY)
    assert len(heard) == 17 * RATE
    for at in (0.5, 4.9, 9.8, 14.7, 16.5):
        assert abs(lag_ms(heard, RATE, at, 17.0)) < 0.5


@pytest.mark.parametrize("samples", [1, 319, 320, 16_000, 16_001, 100_003])
def test_every_length_comes_out_exactly(tmp_path, samples):
    heard = encoded(tmp_path / "out", signal(10.0)[:samples], threads=MANY)
    assert len(heard) == samples


def test_stereo_channels_stay_apart(tmp_path):
    samples = signal(6.0, channels=2)
    samples[:, 1] = 0
    heard = encoded(tmp_path / "out", samples, threads=MANY, target=Target(RATE, 2, 64_000))
    assert np.abs(heard[:, 0]).max() > 0.4
    assert np.abs(heard[RATE:, 1]).max() < 0.05


def test_without_libopus_pyav_encodes_the_same_length(tmp_path):
    samples = signal(12.0)
    encode_opus([samples], TARGET, tmp_path / "out", threads=2, library=None)
    heard, rate = sndfile_read(tmp_path / "out")
    assert len(heard) == len(samples)
    assert abs(lag_ms(heard, rate, 11.0, 12.0)) < 0.5
    with ByteStream([tmp_path / "out"]) as stream:
        assert opus.scan(stream).samples == 12 * 48_000


def test_the_cutter_loses_and_repeats_nothing():
    samples = signal(23.456)
    cutter = Cutter(RATE, 1, 5.0)
    segments = [segment for block in np.array_split(samples, 50) for segment in cutter.take(block)]
    segments.append(cutter.finish(padding=104))
    assert len(segments) > 3
    bodies = [segment.samples[segment.preroll * RATE // 50 :] for segment in segments]
    assert np.array_equal(np.concatenate(bodies)[: len(samples)], samples)
    assert [segment.preroll for segment in segments] == [0, *[PREROLL] * (len(segments) - 1)]
    assert cutter.total == len(samples)


def test_the_cutter_cuts_in_a_pause():
    samples = signal(8.0)
    samples[round(4.4 * RATE) : round(4.5 * RATE)] = 0
    first = next(segment for segment in Cutter(RATE, 1, 5.0).take(samples))
    assert 4.4 <= len(first.samples) / RATE <= 4.52


def test_the_bit_rate_follows_the_source_within_reason():
    assert fitting_bitrate(30_000, 10.0, 1) == 24_000
    assert fitting_bitrate(1_000, 10.0, 1) == 16_000
    assert fitting_bitrate(10_000_000, 10.0, 2) == 256_000
    assert fitting_bitrate(0, 0.0, 1) == 16_000
