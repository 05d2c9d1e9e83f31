"""Chunks that cannot be joined: every fault fails with its own reason and the number of the chunk."""

import hashlib
import random
import struct
from pathlib import Path

import pytest
from stitch_material import encode, evenly, runs, signal

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.frames import has_tag_frame
from services.stitcher.containers.ogg import encode_page, pages
from services.stitcher.join import join_chunks
from shared.domain.audio_frames import adts_frame, id3_size, mp3_frame
from shared.domain.errors import FailureReason, PermanentFailure

KINDS = ["opus", "mp3", "m4a", "wav", "flac", "webm", "aac", "aiff", "caf", "au"]
RUNS = 4


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, list[bytes]]:
    """Four chunks of every kind, each a run of its own."""
    folder = tmp_path_factory.mktemp("good")
    return {kind: [path.read_bytes() for path in runs(folder, signal(float(RUNS)), kind)] for kind in KINDS}


def failure(folder: Path, chunks: list[bytes]) -> tuple[FailureReason, int | None]:
    paths = [folder / f"chunk-{k}" for k in range(len(chunks))]
    for path, data in zip(paths, chunks, strict=True):
        path.write_bytes(data)
    work = folder / "work"
    work.mkdir()
    with pytest.raises(PermanentFailure) as caught:
        join_chunks(paths, work)
    assert f"chunk {caught.value.chunk_number}" in caught.value.message
    return caught.value.reason, caught.value.chunk_number


def replaced(chunks: list[bytes], number: int, data: bytes) -> list[bytes]:
    return [*chunks[: number - 1], data, *chunks[number:]]


def frames_alone(data: bytes, kind: str) -> bytes:
    """The frames without the tags in front and the frame that holds one, as a recorder that cuts one stream has them."""
    parse = mp3_frame if kind == "mp3" else adts_frame
    at = id3_size(data)
    if has_tag_frame(data[at:]):
        at += parse(data[at:]).size
    return data[at:]


def noise(size: int) -> bytes:
    return random.Random(3).randbytes(size)


@pytest.mark.parametrize("number", [1, 2, RUNS])
@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_chunk_is_named(tmp_path, good, kind, number):
    assert failure(tmp_path, replaced(good[kind], number, b"")) == (FailureReason.CHUNK_EMPTY, number)


@pytest.mark.parametrize("number", [1, 2, RUNS])
@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_of_noise_is_not_audio(tmp_path, good, kind, number):
    assert failure(tmp_path, replaced(good[kind], number, noise(20_000))) == (FailureReason.CHUNK_NOT_AUDIO, number)


@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_of_text_is_not_audio(tmp_path, good, kind):
    text = b"<html><body>504 Gateway Time-out</body></html>\n"
    assert failure(tmp_path, replaced(good[kind], 3, text)) == (FailureReason.CHUNK_NOT_AUDIO, 3)


@pytest.mark.parametrize("number", [1, 2, RUNS])
@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_cut_short_is_truncated(tmp_path, good, kind, number):
    data = good[kind][number - 1]
    cut = data[: len(data) * 2 // 3 + 1]
    assert failure(tmp_path, replaced(good[kind], number, cut)) == (FailureReason.CHUNK_TRUNCATED, number)


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_chunk_cut_short_is_truncated(tmp_path, good, kind):
    data = good[kind][0]
    assert failure(tmp_path, [data[: len(data) * 2 // 3 + 1]]) == (FailureReason.CHUNK_TRUNCATED, 1)


@pytest.mark.parametrize("number", [1, 2, RUNS])
@pytest.mark.parametrize("kind", ["opus", "mp3", "m4a", "flac", "webm", "aac"])
def test_damage_in_the_middle_is_corruption(tmp_path, good, kind, number):
    data = good[kind][number - 1]
    at = len(data) * 4 // 5  # behind the padding some writers leave for tags
    damaged = data[:at] + noise(1200) + data[at + 1200 :]
    assert failure(tmp_path, replaced(good[kind], number, damaged)) == (FailureReason.CHUNK_CORRUPT, number)


@pytest.mark.parametrize("intruder", ["opus", "mp3", "wav", "flac"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_of_another_kind_is_named(tmp_path, good, kind, intruder):
    if intruder == kind:
        return
    assert failure(tmp_path, replaced(good[kind], 3, good[intruder][0])) == (FailureReason.CHUNKS_MIXED, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_stereo_among_mono_is_mixed(tmp_path, good, kind):
    stereo = encode(tmp_path / "stereo", signal(1.0, channels=2), kind).read_bytes()
    assert failure(tmp_path, replaced(good[kind], 2, stereo)) == (FailureReason.CHUNKS_MIXED, 2)


@pytest.mark.parametrize("kind", ["mp3", "m4a", "wav", "flac", "aac"])
def test_another_sample_rate_is_mixed(tmp_path, good, kind):
    other = encode(tmp_path / "other", signal(1.0, rate=24_000), kind, rate=24_000).read_bytes()
    assert failure(tmp_path, replaced(good[kind], 3, other)) == (FailureReason.CHUNKS_MIXED, 3)


def test_deeper_samples_are_mixed(tmp_path, good):
    for number, kind in enumerate(("wav", "flac")):
        deeper = encode(tmp_path / f"deeper-{kind}", signal(1.0), f"{kind}24").read_bytes()
        folder = tmp_path / str(number)
        folder.mkdir()
        assert failure(folder, replaced(good[kind], 2, deeper)) == (FailureReason.CHUNKS_MIXED, 2)


def test_opus_headers_without_audio_are_an_empty_chunk(tmp_path, good):
    path = tmp_path / "whole"
    path.write_bytes(good["opus"][1])
    with ByteStream([path]) as stream:
        heads = b"".join(encode_page(page) for page in list(pages(stream))[:2])
    assert failure(tmp_path, replaced(good["opus"], 2, heads)) == (FailureReason.CHUNK_EMPTY, 2)


def test_an_opus_packet_no_decoder_takes_is_corruption(tmp_path, good):
    path = tmp_path / "whole"
    path.write_bytes(good["opus"][1])
    with ByteStream([path]) as stream:
        every = list(pages(stream))
    broken = every[2]._replace(body=b"\xff" * len(every[2].body))
    data = b"".join(encode_page(page) for page in [*every[:2], broken, *every[3:]])
    assert failure(tmp_path, replaced(good["opus"], 2, data)) == (FailureReason.CHUNK_CORRUPT, 2)


def test_an_mp4_without_its_index_is_truncated(tmp_path, good):
    data = good["m4a"][1]
    index = data.index(b"moov") - 4
    assert failure(tmp_path, replaced(good["m4a"], 2, data[:index])) == (FailureReason.CHUNK_TRUNCATED, 2)


def test_an_mp3_cut_between_two_frames_is_truncated_too(tmp_path, good):
    data = good["mp3"][1]
    last = data.rindex(b"\xff\xf3")
    assert failure(tmp_path, replaced(good["mp3"], 2, data[: last - 3 * 288])) == (FailureReason.CHUNK_TRUNCATED, 2)


def test_a_wav_header_without_samples_is_an_empty_chunk(tmp_path, good):
    header = good["wav"][1]
    at = header.index(b"data")
    assert failure(tmp_path, replaced(good["wav"], 2, header[: at + 4] + struct.pack("<I", 0))) == (FailureReason.CHUNK_EMPTY, 2)


def test_headers_alone_are_an_empty_chunk_also_where_there_is_no_other(tmp_path, good):
    opus, wav = good["opus"][0], good["wav"][0]
    first_audio = opus.index(b"OggS", opus.index(b"OpusTags"))
    for number, heads in enumerate((opus[:first_audio], wav[: wav.index(b"data") + 4] + bytes(4))):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert failure(folder, [heads]) == (FailureReason.CHUNK_EMPTY, 1)


def test_headers_alone_are_an_empty_chunk_among_lossless_ones(tmp_path):
    chunks = [path.read_bytes() for path in runs(tmp_path, signal(3.0), "aiff")]
    count, samples = chunks[1].index(b"COMM") + 10, chunks[1].index(b"SSND") + 4
    heads = chunks[1][:count] + bytes(4) + chunks[1][count + 4 : samples] + b"\0\0\0\x08" + bytes(8)
    assert failure(tmp_path, replaced(chunks, 2, heads)) == (FailureReason.CHUNK_EMPTY, 2)


FORGED = {"channels": (22, 2, (0, 0xFFFF)), "rate": (24, 4, (0, 1, 0xFFFFFFFF)), "block": (32, 2, (0, 1, 4))}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, (_, _, values) in FORGED.items() for value in values])
@pytest.mark.parametrize("count", [1, RUNS])
def test_a_wav_header_that_no_recorder_writes_is_corruption(tmp_path, good, field, value, count):
    offset, size, _ = FORGED[field]
    forged = [data[:offset] + value.to_bytes(size, "little") + data[offset + size :] for data in good["wav"][:count]]
    assert failure(tmp_path, forged) == (FailureReason.CHUNK_CORRUPT, 1)


RATES_SAID = {"au": (16, ">I"), "caf": (20, ">d")}


@pytest.mark.parametrize("kind", RATES_SAID)
@pytest.mark.parametrize("rate", [1, 768_001, 2_000_000])
@pytest.mark.parametrize("count", [1, RUNS])
def test_a_rate_at_which_nobody_records_is_corruption(tmp_path, kind, rate, count):
    offset, form = RATES_SAID[kind]
    said, chunks = struct.pack(form, rate), [path.read_bytes() for path in runs(tmp_path, signal(float(RUNS)), kind)[:count]]
    forged = [data[:offset] + said + data[offset + len(said) :] for data in chunks]
    assert failure(tmp_path, forged) == (FailureReason.CHUNK_CORRUPT, 1)


@pytest.mark.parametrize("kind", ["opus", "mp3", "m4a", "wav", "flac", "webm", "aac", "aiff", "caf", "au"])
def test_zeros_behind_a_chunk_are_padding(tmp_path, good, kind):
    """Flash memory is written in blocks."""
    for name, padding in (("plain", b""), ("few", bytes(3)), ("padded", bytes(1000)), ("oddly", bytes(1007))):
        folder = tmp_path / name
        (folder / "work").mkdir(parents=True)
        paths = [folder / f"chunk-{k}" for k in range(RUNS)]
        for path, data in zip(paths, good[kind], strict=True):
            path.write_bytes(data + padding)
        assert abs(join_chunks(paths, folder / "work").duration_ms - RUNS * 1000) <= 4 * 128, name


@pytest.mark.parametrize("kind", ["mp3", "aac"])
@pytest.mark.parametrize("few", range(1, 11))
def test_zeros_between_frames_are_left_out_of_the_joined_file(tmp_path, good, kind, few):
    """Demuxers take a few of them for the head of a frame, and lose it or find another where there is none."""
    whole = frames_alone(good[kind][0], kind)
    chunks = [tmp_path / f"chunk-{k}" for k in range(RUNS)]
    for path in chunks:
        path.write_bytes(whole + bytes(few))
    (tmp_path / "work").mkdir()
    joined = join_chunks(chunks, tmp_path / "work")
    assert (joined.method, joined.path.read_bytes()) == ("remux", whole * RUNS)
    assert joined.chunks_md5 == hashlib.md5((whole + bytes(few)) * RUNS).hexdigest()


@pytest.mark.parametrize("kind", ["mp3", "aac"])
def test_damage_behind_zeros_is_found_where_it_is(tmp_path, good, kind):
    whole = frames_alone(good[kind][0], kind)
    middle = len(whole) // 2
    damaged = whole[:middle] + noise(40) + whole[middle + 40 :]
    chunks = [whole + bytes(3), damaged + bytes(3), whole + bytes(3), whole]
    assert failure(tmp_path, chunks) == (FailureReason.CHUNK_CORRUPT, 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [2, RUNS])
def test_a_chunk_of_zeros_is_not_audio(tmp_path, good, kind, number):
    chunks = replaced(good[kind], number, bytes(len(good[kind][number - 1])))
    assert failure(tmp_path, chunks) == (FailureReason.CHUNK_NOT_AUDIO, number)


@pytest.mark.parametrize("kind", ["mp3", "aac"])
@pytest.mark.parametrize("behind", [b"", bytes(57)], ids=["plain", "padded"])
def test_an_id3v1_tag_at_the_end_of_a_chunk_is_no_damage(tmp_path, good, kind, behind):
    tag = b"TAG" + b"title".ljust(125, b" ")
    paths = [tmp_path / f"chunk-{k}" for k in range(RUNS)]
    for path, data in zip(paths, good[kind], strict=True):
        path.write_bytes(data + tag + behind)
    (tmp_path / "work").mkdir()
    assert abs(join_chunks(paths, tmp_path / "work").duration_ms - RUNS * 1000) <= 4 * 128


@pytest.mark.parametrize("kind", ["opus", "m4a", "wav", "mp3", "webm", "aiff", "caf", "au"])
def test_byte_ranges_that_end_too_early_name_the_last_chunk(tmp_path, good, kind):
    parts = [path.read_bytes() for path in evenly(tmp_path, good[kind][0], 5)]
    parts[-1] = parts[-1][: len(parts[-1]) // 2 + 1]
    assert failure(tmp_path, parts) == (FailureReason.CHUNK_TRUNCATED, 5)


def test_a_byte_range_that_was_damaged_is_named(tmp_path, good):
    whole = good["opus"][0] * 1
    parts = [path.read_bytes() for path in evenly(tmp_path, whole, 5)]
    parts[2] = noise(len(parts[2]))
    reason, number = failure(tmp_path, parts)
    assert reason is FailureReason.CHUNK_CORRUPT
    assert number in (1, 2, 3), "the page that cannot be read begins in one of these"


def test_a_picture_is_not_audio(tmp_path):
    assert failure(tmp_path, [b"\x89PNG\r\n\x1a\n" + noise(500)]) == (FailureReason.CHUNK_NOT_AUDIO, 1)


def test_no_chunks_at_all_are_missing(tmp_path):
    with pytest.raises(PermanentFailure) as caught:
        join_chunks([], tmp_path)
    assert caught.value.reason is FailureReason.CHUNK_MISSING
