"""Files of few MP3 or ADTS frames are read for what they are; FFmpeg's own guess is left alone for all others."""

import av
import pytest

from shared.demux import reader_of
from shared.domain.magic import READERS
from tests.unit.stitcher.stitch_material import KINDS, encode, signal

FEW = [
    ("mp3", 16_000, 4800, 16),
    ("mp3", 48_000, 16_800, 500),
    ("aac", 8000, 7200, 16),
    ("aac", 16_000, 0, 500),
    ("aac", 48_000, 7200, 500),
]
"""Kind and rate, and which samples of a signal, of files that FFmpeg takes for something else, or for nothing."""


@pytest.mark.parametrize(("kind", "rate", "begin", "count"), FEW)
def test_a_few_frames_are_read_whatever_else_they_look_like(tmp_path, kind, rate, begin, count):
    path = encode(tmp_path / "few", signal(8.0, rate=rate)[begin : begin + count], kind, rate=rate)
    with pytest.raises(av.FFmpegError):
        av.open(str(path), options=READERS)
    with av.open(str(path), format=reader_of(path), options=READERS) as container:
        assert sum(frame.samples for frame in container.decode(container.streams.audio[0])) >= count


@pytest.mark.parametrize("kind", KINDS)
def test_only_files_of_frames_have_their_demuxer_named(tmp_path, kind):
    path = encode(tmp_path / "file", signal(1.0), kind)
    assert reader_of(path) == {"mp3": "mp3", "aac": "aac"}.get(kind)


def test_tags_in_front_are_passed_over(tmp_path):
    path = encode(tmp_path / "file", signal(1.0), "mp3")
    tagged = tmp_path / "tagged"
    tag = b"ID3\x04\0\0" + bytes((0, 0, 4, 0)) + bytes(512)
    tagged.write_bytes(tag + tag + path.read_bytes())
    assert reader_of(tagged) == "mp3"


@pytest.mark.parametrize("data", [b"", b"\xff", b"ID3", b"\xff\xfb\x90\x00" + b"x" * 2000, b"ID3\x04\0\0" + bytes((0, 0, 4, 0))])
def test_what_is_no_row_of_frames_is_left_to_ffmpeg(tmp_path, data):
    path = tmp_path / "file"
    path.write_bytes(data)
    assert reader_of(path) is None
