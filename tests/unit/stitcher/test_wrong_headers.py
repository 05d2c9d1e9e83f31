"""Headers that say what is not so: what was recorded is heard all the same, or the chunk is named, but nothing is left out."""

import re
import struct
from itertools import pairwise

import av
import numpy as np
import pytest
from stitch_material import RATE, encode, pyav_read, runs, signal

from services.stitcher.join import join_chunks
from services.stitcher.probe import probe
from shared.domain.errors import FailureReason, PermanentFailure

RUNS = 4
AU_SIZE = 8
CUT_OFF = 8000  # of a file: bytes that its header does not know of


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def changed(path, at, value):
    data = path.read_bytes()
    path.write_bytes(data[:at] + value + data[at + len(value) :])


def size_of_samples(path):
    return path.read_bytes().index(b"data") + 4


def forget_codec(path):
    data = path.read_bytes()
    for name in (b"mp4a", b"esds", b"alac", b"lpcm"):
        if name in data:
            changed(path, data.rindex(name), b"zzzz")


def heard(chunks):
    return np.concatenate([pyav_read(path)[0] for path in chunks])


def refused(chunks, work):
    with pytest.raises(PermanentFailure) as caught:
        join_chunks(chunks, work, RUNS * 1000)
    return caught.value.reason, caught.value.chunk_number


@pytest.mark.parametrize("size", [100_000, 3 << 20, 0x7FFFEFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0, 7])
def test_a_riff_size_beyond_the_file_does_not_swallow_the_chunks_behind_it(tmp_path, work, size):
    chunks = runs(tmp_path, signal(float(RUNS)), "wav")
    wanted = heard(chunks)
    changed(chunks[0], 4, struct.pack("<I", size))
    joined = join_chunks(chunks, work)
    assert (joined.method, joined.duration_ms) == ("pcm", RUNS * 1000)
    assert np.array_equal(pyav_read(joined.path)[0], wanted)


@pytest.mark.parametrize("number", [1, 2, RUNS])
@pytest.mark.parametrize("kind", ["wav", "au"])
def test_samples_behind_the_end_that_a_recorder_last_wrote_down_are_kept(tmp_path, work, kind, number):
    chunks = runs(tmp_path, signal(float(RUNS)), kind)
    wanted = heard(chunks)
    stale = chunks[number - 1]
    at, form = (size_of_samples(stale), "<I") if kind == "wav" else (AU_SIZE, ">I")
    (size,) = struct.unpack_from(form, stale.read_bytes(), at)
    changed(stale, at, struct.pack(form, size - CUT_OFF))
    joined = join_chunks(chunks, work)
    assert joined.duration_ms == RUNS * 1000
    assert np.array_equal(pyav_read(joined.path)[0], wanted)


@pytest.mark.parametrize(
    "behind", [b"LIST\x04\0\0\0abcd", b"id3 \x02\0\0\0ab", b"ID3\x04\0\0\0\0\0\0", b"TAG" + bytes(125), b"odd", bytes(600)]
)
def test_what_may_follow_samples_is_not_heard(tmp_path, work, behind):
    chunks = runs(tmp_path, signal(float(RUNS)), "wav")
    wanted = heard(chunks)
    for path in chunks:
        path.write_bytes(path.read_bytes() + behind)
    joined = join_chunks(chunks, work)
    assert (joined.method, joined.duration_ms) == ("pcm", RUNS * 1000)
    assert np.array_equal(pyav_read(joined.path)[0], wanted)


@pytest.mark.parametrize("number", [1, RUNS])
@pytest.mark.parametrize("live", [False, True])
def test_zeros_in_place_of_the_end_of_a_webm_are_damage(tmp_path, work, live, number):
    chunks = runs(tmp_path, signal(float(RUNS)), "webm")
    for path in chunks if live else ():
        data = path.read_bytes()
        size = data.index(b"\x18\x53\x80\x67") + 4
        assert data[size] == 1  # a size of eight bytes
        changed(path, size, b"\x01" + b"\xff" * 7)  # as browsers write it: unknown
    damaged = chunks[number - 1].read_bytes()
    changed(chunks[number - 1], len(damaged) * 2 // 3, bytes(len(damaged) - len(damaged) * 2 // 3))
    reason, named = refused(chunks, work)
    assert reason in {FailureReason.CHUNK_CORRUPT, FailureReason.CHUNK_TRUNCATED}
    assert named == number


@pytest.mark.parametrize("number", [1, 3])
def test_the_chunk_that_is_unlike_most_is_named(tmp_path, work, number):
    chunks = runs(tmp_path, signal(float(RUNS)), "wav")
    encode(chunks[number - 1], signal(1.0, rate=8000), "wav", rate=8000)
    assert refused(chunks, work) == (FailureReason.CHUNKS_MIXED, number)


@pytest.mark.parametrize("number", [1, 2, RUNS])
def test_a_block_of_webm_that_readers_skip_is_damage_among_chunks_and_none_in_an_upload(tmp_path, work, number):
    chunks = runs(tmp_path, signal(float(RUNS)), "webm")
    damaged = chunks[number - 1]
    block = list(re.finditer(rb"\xa3[\x40-\xff]{1,2}?(\x81)..\x80", damaged.read_bytes(), re.DOTALL))[10]
    changed(damaged, block.start(1), b"\x82")  # a track that the file does not have
    assert probe(damaged).duration_ms < 1000
    assert refused(chunks, work) == (FailureReason.CHUNK_CORRUPT, number)


def test_an_empty_block_of_webm_is_no_damage(tmp_path, work):
    chunks = runs(tmp_path, signal(float(RUNS)), "webm")
    data = chunks[1].read_bytes()
    block = list(re.finditer(rb"\xa3([\x40-\x7f].)(\x81..\x80)", data, re.DOTALL))[10]
    size = int.from_bytes(block[1], "big") & 0x3FFF
    left = size - 4 - 2  # what was its payload becomes an element of nothing
    emptied = b"\xa3\x84" + block[2] + b"\xec" + struct.pack(">H", 0x4000 | left) + bytes(left)
    changed(chunks[1], block.start(), emptied)
    assert chunks[1].stat().st_size == len(data)
    assert join_chunks(chunks, work).duration_ms == RUNS * 1000 - 20


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("kind", ["m4a", "alac", "caf"])
def test_a_codec_that_nobody_knows_is_the_chunks_fault(tmp_path, work, kind, number):
    chunks = runs(tmp_path, signal(float(RUNS)), kind)
    forget_codec(chunks[number - 1])
    assert refused(chunks, work) == (FailureReason.CHUNK_CORRUPT, number)


def test_a_whole_file_of_a_codec_that_nobody_knows_is_not_supported(tmp_path):
    path = encode(tmp_path / "file", signal(1.0), "m4a")
    forget_codec(path)
    with pytest.raises(PermanentFailure) as caught:
        probe(path)
    assert caught.value.reason is FailureReason.UNSUPPORTED_FORMAT


def test_an_index_that_holds_less_than_it_says_is_damage(tmp_path, work):
    chunks = runs(tmp_path, signal(float(RUNS)), "m4a")
    changed(chunks[1], chunks[1].read_bytes().index(b"stsz") + 12, struct.pack(">I", 6))  # of 17 frames
    assert refused(chunks, work) == (FailureReason.CHUNK_CORRUPT, 2)


@pytest.mark.parametrize("number", [1, 2, RUNS])
@pytest.mark.parametrize(("frames", "samples"), [(16, 0), (16, 1), (16, 512), (0, 1024), (1, 1024)])
def test_an_index_that_gives_audio_less_time_than_it_takes_is_damage(tmp_path, work, number, frames, samples):
    chunks = runs(tmp_path, signal(float(RUNS)), "m4a")
    times = chunks[number - 1].read_bytes().index(b"stts") + 12  # 16 frames of 1024 samples, and a shorter one
    changed(chunks[number - 1], times, struct.pack(">II", frames, samples))
    assert refused(chunks, work) == (FailureReason.CHUNK_CORRUPT, number)


@pytest.mark.parametrize(("frames", "samples"), [(16, 900), (8, 1024), (12, 1024)])
def test_frames_that_are_stamped_somewhat_too_close_to_each_other_are_all_joined(tmp_path, work, frames, samples):
    chunks = runs(tmp_path, signal(float(RUNS)), "m4a")
    changed(chunks[1], chunks[1].read_bytes().index(b"stts") + 12, struct.pack(">II", frames, samples))
    assert RUNS * 1000 <= join_chunks(chunks, work).duration_ms <= RUNS * 1000 + 64, "with the padding of a frame at most"


def stamped_by(path, source, pace):
    """The frames of `source` at the times of a clock that goes at another `pace`."""
    with av.open(str(source)) as told, av.open(str(path), "w", format="mp4") as stamped:
        stream = stamped.add_stream_from_template(told.streams.audio[0])
        packets = [packet for packet in told.demux() if packet.size]
        for packet in packets:
            packet.pts = packet.dts = round(packet.pts * pace)
            packet.stream = stream
        for packet, following in pairwise([*packets, None]):
            packet.duration = packet.duration if following is None else following.pts - packet.pts
            stamped.mux(packet)
    return path


@pytest.mark.parametrize("pace", [0.999, 0.9999, 1.0001, 1.001])
def test_frames_that_a_clock_stamped_which_is_not_the_audios_own_are_all_joined(tmp_path, work, pace):
    minute = encode(tmp_path / "minute", signal(60.0, rate=48_000), "m4a", rate=48_000)
    joined = join_chunks([stamped_by(tmp_path / "stamped", minute, pace), minute], work)
    assert joined.duration_ms == pytest.approx(120_000, abs=2 * 1024 / 48)


def test_what_was_cut_out_of_an_mp4_is_not_joined(tmp_path, work):
    chunks = runs(tmp_path, signal(float(RUNS)), "m4a")
    edit = chunks[1].read_bytes().index(b"elst") + 12
    changed(chunks[1], edit, struct.pack(">II", 500, 5024))  # half a second, from 4000 samples behind the encoder's delay on
    assert join_chunks(chunks, work).duration_ms == RUNS * 1000 - 500


@pytest.mark.parametrize("number", [2, RUNS])
def test_a_damaged_adts_run_is_named_where_the_duration_is_declared(tmp_path, number):
    chunks = runs(tmp_path, signal(float(RUNS)), "aac")
    whole = chunks[number - 1].read_bytes()
    refusals = []
    for at in range(500, 1500, 100):  # in its first four frames, by which runs are told
        work = tmp_path / f"work-{at}"
        work.mkdir()
        chunks[number - 1].write_bytes(whole)
        changed(chunks[number - 1], at, b"\xff" * 24)
        try:
            join_chunks(chunks, work, RUNS * 1000)  # AAC has no checksum: not all damage shows
        except PermanentFailure as failure:
            refusals.append((failure.reason, failure.chunk_number))
    assert set(refusals) == {(FailureReason.CHUNK_CORRUPT, number)}


def test_channels_for_other_speakers_are_another_format(tmp_path, work):
    chunks = runs(tmp_path, signal(float(RUNS)), "caf")
    at = chunks[2].read_bytes().index(b"chan") + 12
    changed(chunks[2], at, struct.pack(">II", 1 << 16, 1 << 0))  # by a bitmap: front left
    assert refused(chunks, work) == (FailureReason.CHUNKS_MIXED, 3)


def test_a_single_chunk_is_kept_as_it_came(tmp_path, work):
    (chunk,) = runs(tmp_path, signal(1.0), "wav")
    changed(chunk, size_of_samples(chunk), struct.pack("<I", 2 * RATE - CUT_OFF))
    data = chunk.read_bytes()
    joined = join_chunks([chunk], work)
    assert joined.path.read_bytes() == data
