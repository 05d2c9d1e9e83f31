"""Opus chunks of every origin: what comes out is decoded by independent readers and compared with what went in."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stitch_material import (
    PEAK,
    RATE,
    encode,
    evenly,
    lag_ms,
    opusfile_read,
    program,
    pyav_read,
    run,
    runs,
    signal,
    sndfile_read,
    snr_db,
)

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.ogg import FIRST, LAST, encode_page, pages
from services.stitcher.join import join_chunks
from services.stitcher.ports import Joined

SECONDS = 6.0
READERS = (pyav_read, sndfile_read, *([opusfile_read] if program("opusdec") else []))  # the program is a peer, not a dependency


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def expect_sound(joined: Joined, seconds: float, *, peak: float = PEAK) -> None:
    """The whole contract of a joined Opus file, by every reader at hand: libavcodec, libsndfile, libopusfile."""
    assert (joined.content_type, joined.extension, joined.codec) == ("audio/ogg", "ogg", "opus")
    assert (joined.sample_rate_hz, joined.channels) == (48_000, 1)
    assert joined.duration_ms == round(seconds * 1000)
    data = joined.path.read_bytes()
    assert joined.size_bytes == len(data)
    assert joined.sha256 == hashlib.sha256(data).hexdigest()
    assert joined.md5 == hashlib.md5(data).hexdigest()
    for read in READERS:
        samples, rate = read(joined.path)
        assert abs(len(samples) / rate - seconds) < 0.001, read
        assert np.abs(samples).max() < peak * 1.1, read
        for at in np.arange(0.5, seconds - 0.5, 1.0):
            assert abs(lag_ms(samples, rate, float(at), seconds)) < 0.5, (read, at)


def continuous(folder: Path, *, with_heads: bool) -> tuple[list[Path], bytes]:
    """One encoder's pages, one chunk a second; each chunk repeats the header pages or does not."""
    whole = encode(folder / "whole", signal(SECONDS), "opus")
    with ByteStream([whole]) as stream:
        every = list(pages(stream))
    heads, audio = every[:2], every[2:]
    chunks = []
    for k, page in enumerate(audio):
        parts = [*heads, page._replace(flags=page.flags | LAST, sequence=2)] if with_heads else [page._replace(sequence=k)]
        parts = [*heads, *parts] if k == 0 and not with_heads else parts
        chunks.append(folder / f"part-{k}")
        chunks[-1].write_bytes(b"".join(encode_page(part) for part in parts))
    return chunks, b"".join(page.body for page in audio)


def test_independent_runs_are_decoded_each_by_itself_and_encoded_once(tmp_path, work):
    chunks = runs(tmp_path, signal(SECONDS), "opus")
    joined = join_chunks(chunks, work)
    assert joined.method == "reencode"
    expect_sound(joined, SECONDS)
    assert joined.chunks_md5 == hashlib.md5(b"".join(path.read_bytes() for path in chunks)).hexdigest()


@pytest.mark.parametrize("decibels", [-6, 3])
@pytest.mark.parametrize("kind", ["opus", "webm"])
def test_the_gain_that_headers_ask_for_is_in_what_is_joined(tmp_path, work, kind, decibels):
    chunks = [turned(path, decibels) for path in runs(tmp_path, signal(SECONDS), kind)]
    joined = join_chunks(chunks, work)
    assert joined.method == "reencode"
    peak = PEAK * 10 ** (decibels / 20)
    expect_sound(joined, SECONDS, peak=peak)
    assert np.abs(pyav_read(joined.path)[0]).max() > peak * 0.9


def turned(path: Path, decibels: int) -> Path:
    """The same file, whose Opus header asks to play it louder or softer."""
    data = path.read_bytes()
    at = data.index(b"OpusHead") + 16
    data = data[:at] + (decibels * 256).to_bytes(2, "little", signed=True) + data[at + 2 :]
    path.write_bytes(data)
    if data.startswith(b"OggS"):
        with ByteStream([path]) as stream:
            data = b"".join(encode_page(page) for page in pages(stream, verify=False))
        path.write_bytes(data)
    return path


def test_odd_lengths_do_not_drift(tmp_path, work):
    samples = signal(SECONDS)
    chunks = runs(tmp_path, samples, "opus", seconds=0.7331)
    joined = join_chunks(chunks, work)
    expect_sound(joined, SECONDS)


def test_stereo_at_full_band_stays_stereo_at_full_band(tmp_path, work):
    samples = signal(3.0, rate=48_000, channels=2)
    hiss = np.random.default_rng(2).standard_normal(samples.shape) * 0.01
    chunks = runs(tmp_path, samples + hiss, "opus", rate=48_000)
    joined = join_chunks(chunks, work)
    assert joined.channels == 2
    heard, rate = sndfile_read(joined.path)
    assert heard.shape == (3 * rate, 2)
    spectrum = np.abs(np.fft.rfft(heard[:, 0] * np.hanning(len(heard))))
    assert spectrum[3 * 11_000 :].max() > spectrum[3 * 11_000 :].mean() > 0.5, "the band above 11 kHz is gone"


def test_the_join_is_as_good_as_each_encoder_run_can_be(tmp_path, work):
    samples = signal(SECONDS)
    joined = join_chunks(runs(tmp_path, samples, "opus"), work)
    heard, rate = sndfile_read(joined.path)
    wanted = signal(SECONDS, rate=rate)
    for second in range(1, 6):
        around = slice(round((second - 0.1) * rate), round((second + 0.1) * rate))
        assert snr_db(wanted[around], heard[around]) > 10, second


def test_seeking_lands_where_it_should(tmp_path, work):
    joined = join_chunks(runs(tmp_path, signal(SECONDS), "opus"), work)
    whole, rate = sndfile_read(joined.path)
    with soundfile.SoundFile(str(joined.path)) as file:
        for second in (4.3, 1.7, 5.5):
            file.seek(round(second * rate))
            piece = file.read(rate // 10, dtype="float32", always_2d=True)
            wanted = whole[round(second * rate) :][: rate // 10]
            assert snr_db(wanted, piece) > 25, second


def test_one_encoders_packets_are_kept_as_they_are(tmp_path, work):
    chunks, payload = continuous(tmp_path, with_heads=True)
    joined = join_chunks(chunks, work)
    assert joined.method == "remux"
    expect_sound(joined, SECONDS)
    with ByteStream([joined.path]) as stream:
        every = list(pages(stream))
    assert b"".join(page.body for page in every[2:]) == payload, "packets changed"
    assert [page.sequence for page in every] == list(range(len(every)))
    assert len({page.serial for page in every}) == 1
    assert [page.flags for page in every] == [FIRST, *[0] * (len(every) - 2), LAST]


def test_pages_that_every_chunk_numbers_anew_are_numbered_through(tmp_path, work):
    chunks, payload = continuous(tmp_path, with_heads=False)
    joined = join_chunks(chunks, work)
    assert joined.method == "remux"
    expect_sound(joined, SECONDS)
    with ByteStream([joined.path]) as stream:
        every = list(pages(stream))
    assert [page.sequence for page in every] == list(range(len(every)))
    assert b"".join(page.body for page in every[2:]) == payload


def test_byte_ranges_become_the_very_file_they_were_cut_from(tmp_path, work):
    whole = encode(tmp_path / "whole", signal(SECONDS), "opus").read_bytes()
    joined = join_chunks(evenly(tmp_path, whole, 7), work)
    assert joined.method == "concatenate"
    assert joined.path.read_bytes() == whole
    assert joined.md5 == joined.chunks_md5
    expect_sound(joined, SECONDS)


def test_byte_ranges_of_files_that_are_chained_last_as_long_as_all_of_them(tmp_path, work):
    chained = b"".join(path.read_bytes() for path in runs(tmp_path, signal(5.0), "opus", 2.5))
    joined = join_chunks(evenly(tmp_path, chained, 7), work)
    assert (joined.method, joined.duration_ms, joined.path.read_bytes()) == ("concatenate", 5000, chained)
    assert len(pyav_read(joined.path)[0]) == 5 * 48_000


def test_a_single_whole_chunk_is_copied(tmp_path, work):
    whole = encode(tmp_path / "whole", signal(SECONDS), "opus")
    joined = join_chunks([whole], work)
    assert (joined.method, joined.path.read_bytes()) == ("concatenate", whole.read_bytes())


def test_a_last_chunk_without_its_end_flag_is_whole(tmp_path, work):
    chunks = runs(tmp_path, signal(SECONDS), "opus")
    with ByteStream(chunks[-1:]) as stream:
        every = list(pages(stream))
    chunks[-1].write_bytes(b"".join(encode_page(page._replace(flags=page.flags & ~LAST)) for page in every))
    expect_sound(join_chunks(chunks, work), SECONDS)


def test_granules_counted_in_the_wrong_clock_do_not_cut_the_audio(tmp_path, work):
    chunks = runs(tmp_path, signal(SECONDS), "opus")
    for chunk in chunks:
        with ByteStream([chunk]) as stream:
            every = list(pages(stream))
        chunk.write_bytes(b"".join(encode_page(page._replace(granule=page.granule // 3)) for page in every))
    joined = join_chunks(chunks, work)
    assert abs(joined.duration_ms - SECONDS * 1000) <= 20 * len(chunks)


@pytest.mark.skipif(program("opusenc") is None, reason="the opusenc program is a peer, not a dependency")
def test_chunks_of_the_opusenc_program(tmp_path, work):
    samples, chunks = (signal(SECONDS) * 32767).astype("<i2"), []
    for second in range(int(SECONDS)):
        chunks.append(tmp_path / f"{second}.opus")
        raw = samples[second * RATE : (second + 1) * RATE].tobytes()
        run("opusenc", "--quiet", "--raw", "--raw-rate", RATE, "--raw-chan", 1, "-", chunks[-1], stdin=raw)
    onset = max(np.abs(pyav_read(path)[0]).max() for path in chunks)  # this encoder overshoots where a run begins
    expect_sound(join_chunks(chunks, work), SECONDS, peak=onset)


@pytest.mark.skipif(program("ffmpeg") is None, reason="the ffmpeg program is a peer, not a dependency")
def test_segments_of_the_ffmpeg_program_are_one_encoders_packets(tmp_path, work):
    whole = encode(tmp_path / "whole.ogg", signal(SECONDS), "opus")
    run("ffmpeg", "-v", "error", "-i", whole, "-c", "copy", "-f", "segment", "-segment_time", 1, tmp_path / "s%03d.ogg")
    chunks = sorted(tmp_path.glob("s*.ogg"))
    assert len(chunks) > 4
    joined = join_chunks(chunks, work)
    assert joined.method == "remux"
    expect_sound(joined, SECONDS)


@pytest.mark.skipif(program("ffprobe") is None, reason="the ffprobe program is a peer, not a dependency")
def test_ffprobe_reads_it_whole(tmp_path, work):
    joined = join_chunks(runs(tmp_path, signal(SECONDS), "opus"), work)
    told = json.loads(
        run("ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", "-count_packets", joined.path)
    )
    assert abs(float(told["format"]["duration"]) - SECONDS) < 0.02
    assert int(told["streams"][0]["nb_read_packets"]) == pytest.approx(SECONDS / 0.02, abs=2)  # of 20 ms each


@pytest.mark.skipif(program("opusinfo") is None, reason="the opusinfo program is a peer, not a dependency")
@pytest.mark.parametrize("with_heads", [True, False])
def test_opusinfo_has_nothing_to_complain_about(tmp_path, work, with_heads):
    chunks, _ = continuous(tmp_path, with_heads=with_heads)
    kept = run("opusinfo", join_chunks(chunks, work).path)
    assert "WARNING" not in kept
    (work / "2").mkdir()
    made = run("opusinfo", join_chunks(runs(tmp_path, signal(SECONDS), "opus"), work / "2").path)
    assert "WARNING" not in made
    assert "Playback length: 0m:06.000s" in made
