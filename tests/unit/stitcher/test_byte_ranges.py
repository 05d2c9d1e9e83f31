"""However a file is cut into byte ranges, what comes out is the file."""

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stitch_material import cut, encode, evenly, signal

from services.stitcher.bytestream import ByteStream
from services.stitcher.join import join_chunks
from services.stitcher.probe import probe
from shared.domain.audio_frames import id3_size

KINDS = ["opus", "mp3", "m4a", "wav", "flac", "webm", "aac", "mka"]
STEREO_16K = 1.2


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    return {kind: encode(folder / kind, signal(STEREO_16K), kind).read_bytes() for kind in KINDS}


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_any_cut_of_any_kind_gives_the_same_bytes(whole, data):
    original = whole[data.draw(st.sampled_from(KINDS))]
    edges = data.draw(st.lists(st.integers(1, len(original) - 1), unique=True, max_size=12).map(sorted))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chunks = cut(folder, original, edges)
        (folder / "work").mkdir()
        joined = join_chunks(chunks, folder / "work")
        assert joined.method == "concatenate"
        assert joined.path.read_bytes() == original
        assert joined.md5 == joined.chunks_md5
        assert joined.size_bytes == len(original)


@pytest.mark.parametrize("kind", KINDS)
def test_cuts_at_the_very_first_bytes_are_cuts_like_any_other(tmp_path, whole, kind):
    chunks = cut(tmp_path, whole[kind], [1, 2, 3, 4, 30])
    (tmp_path / "work").mkdir()
    joined = join_chunks(chunks, tmp_path / "work")
    assert joined.path.read_bytes() == whole[kind]


@pytest.mark.parametrize("before", [[], [1], [7, 20]])
def test_a_cut_between_the_tag_of_an_mp3_and_its_first_frame_is_a_cut_like_any_other(tmp_path, whole, before):
    tag = id3_size(whole["mp3"])
    assert tag > max(before, default=0)
    chunks = cut(tmp_path, whole["mp3"], [*before, tag, tag + 2000])
    (tmp_path / "work").mkdir()
    joined = join_chunks(chunks, tmp_path / "work")
    assert joined.method == "concatenate"
    assert joined.path.read_bytes() == whole["mp3"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_of_the_joined_file_is_what_a_probe_says(tmp_path, whole, kind):
    (tmp_path / "work").mkdir()
    joined = join_chunks(evenly(tmp_path, whole[kind], 5), tmp_path / "work")
    probed = probe(joined.path)
    for field in ("content_type", "codec", "sample_rate_hz", "channels", "duration_ms", "size_bytes", "sha256"):
        assert getattr(joined, field) == getattr(probed, field), field
    assert joined.md5 == hashlib.md5(joined.path.read_bytes()).hexdigest()


@given(sizes=st.lists(st.integers(0, 700), min_size=1, max_size=6), offset=st.integers(0, 3000), count=st.integers(0, 900))
@settings(max_examples=60, deadline=None)
def test_a_stream_over_chunks_reads_like_one_file(sizes, offset, count):
    everything = bytes(n % 251 for n in range(sum(sizes)))
    with tempfile.TemporaryDirectory() as name:
        paths, at = [], 0
        for k, size in enumerate(sizes):
            paths.append(Path(name) / str(k))
            paths[-1].write_bytes(everything[at : at + size])
            at += size
        with ByteStream(paths) as stream:
            assert stream.size == len(everything)
            assert stream.read_at(offset, count) == everything[offset : offset + count]
            assert b"".join(stream.blocks(64)) == everything
