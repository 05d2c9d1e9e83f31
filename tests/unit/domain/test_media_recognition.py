"""Files are told apart by how they begin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.magic import HEAD_BYTES, media_kinds
from shared.domain.media import MediaType

AUDIO, IMAGE, VIDEO = {MediaType.AUDIO}, {MediaType.IMAGE}, {MediaType.VIDEO}


@pytest.mark.parametrize(
    ("head", "kinds"),
    [
        (b"OggS\x00\x02", AUDIO | VIDEO),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", AUDIO),
        (b"RF64\xff\xff\xff\xffWAVEds64", AUDIO),
        (b"RIFF\x00\x00\x00\x00AVI LIST", set()),
        (b"fLaC\x00\x00\x00\x22", AUDIO),
        (b"ID3\x04\x00", AUDIO),
        (b"\xff\xfb\x90\x64", AUDIO),
        (b"\xff\xf3\x84\xc4", AUDIO),
        (b"\xff\xf1\x50\x80", AUDIO),
        (b"\xff\xf9\x50\x80", AUDIO),
        (b"\xff\xff\xff\xff", set()),
        (b"\xff\xe8\x90\x64", set()),
        (b"\x1a\x45\xdf\xa3\x01", AUDIO | VIDEO),
        (b"\x00\x00\x00\x20ftypM4A \x00", AUDIO),
        (b"\x00\x00\x00\x20ftypisom\x00", AUDIO | VIDEO),
        (b"\xff\xd8\xff\xe0", IMAGE),
        (b"\x89PNG\r\n\x1a\n", IMAGE),
        (b"<html>", set()),
        (b"%PDF-1.7", set()),
        (b"", set()),
        (b"\xff", set()),
    ],
)
def test_each_kind_is_told_by_its_beginning(head, kinds):
    assert media_kinds(head) == kinds


@given(st.binary(max_size=HEAD_BYTES))
def test_no_bytes_break_the_recognition(head):
    assert media_kinds(head) <= set(MediaType)
