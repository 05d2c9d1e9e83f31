"""Sniffing: the kind of a file by its first bytes, and nothing taken for audio that is not."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stitch_material import encode, signal

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.ogg import checksum, encode_page, pages
from services.stitcher.sniff import sniff

TYPES = {
    "opus": "audio/ogg",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "webm": "audio/webm",
    "aac": "audio/aac",
    "mka": "audio/x-matroska",
}


@pytest.mark.parametrize(("kind", "mime"), TYPES.items())
def test_every_kind_is_known_by_its_head(tmp_path, kind, mime):
    data = encode(tmp_path / "file", signal(3.0), kind).read_bytes()
    assert sniff(data[: 1 << 16]) == mime


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "video/mp4"),
        (b"\0\0\0\x18ftypM4A " + bytes(20), "audio/mp4"),
        (b"#!AMR\n", "audio/amr"),
        (b"FORM\0\0\0\0AIFF", "audio/aiff"),
    ],
)
def test_magic_bytes_are_known(head, mime):
    assert sniff(head) == mime


def test_a_tag_longer_than_the_head_is_taken_for_mp3():
    assert sniff(b"ID3\x04\0\0\0\x7f\x7f\x7f" + bytes(60_000)) == "audio/mpeg"


def test_an_adts_stream_behind_a_tag_is_aac(tmp_path):
    data = encode(tmp_path / "file", signal(1.0), "aac").read_bytes()
    assert sniff(b"ID3\x04\0\0\0\0\0\x05" + bytes(5) + data) == "audio/aac"


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff",
        b"\xff\xfb",
        b"Og",
        b"RIFF\0\0\0\0AVI ",
        b"OggS\0\0" + bytes(40),
        b"fLaC",
        b"ID3\x04\0\0\0\0\0\x05" + bytes(99),
    ],
)
def test_too_little_or_something_else_is_unknown(head):
    assert sniff(head) is None


@given(st.binary(max_size=4000))
@settings(max_examples=300, deadline=None)
def test_any_bytes_can_be_sniffed(head):
    sniff(head)


def test_noise_is_never_audio():
    source = random.Random(11)
    assert all(sniff(b"\xff\xfb" + source.randbytes(6000)) is None for _ in range(200))


def test_the_checksum_is_oggs(tmp_path):
    def slowly(data: bytes) -> int:
        crc = 0
        for byte in data:
            crc ^= byte << 24
            for _ in range(8):
                crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
        return crc

    source = random.Random(7)
    for size in (0, 1, 27, 300):
        data = source.randbytes(size)
        assert checksum(data) == slowly(data)


def test_a_page_is_written_as_it_was_read(tmp_path):
    path: Path = encode(tmp_path / "file", signal(2.0), "opus")
    with ByteStream([path]) as stream:
        assert b"".join(map(encode_page, pages(stream))) == path.read_bytes()
