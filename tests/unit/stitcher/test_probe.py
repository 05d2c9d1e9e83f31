"""Probing: what a file is and how long it truly lasts, whatever its header says."""

import hashlib
import random
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from stitch_material import KINDS, encode, pyav_read, signal

from services.stitcher.probe import probe
from shared.domain.errors import FailureReason, PermanentFailure
from tests.late_pictures import late_pictures

FRAME_MS = {"aac": 128}  # ADTS says nothing of its encoder's priming; one frame of 64 ms comes before, one is padding
EXPECTED = {
    "opus": ("audio/ogg", "opus", 48_000),
    "mp3": ("audio/mpeg", "mp3", 16_000),
    "m4a": ("audio/mp4", "aac", 16_000),
    "flac": ("audio/flac", "flac", 16_000),
    "wav": ("audio/wav", "pcm_s16le", 16_000),
    "webm": ("audio/webm", "opus", 48_000),
    "aac": ("audio/aac", "aac", 16_000),
    "mka": ("audio/x-matroska", "flac", 16_000),
    "alac": ("audio/mp4", "alac", 16_000),
    "aiff": ("audio/aiff", "pcm_s16be", 16_000),
    "caf": ("audio/x-caf", "pcm_s16be", 16_000),
    "au": ("audio/basic", "pcm_s16be", 16_000),
}


def video(path: Path, *, audio: bool) -> Path:
    """Two seconds of grey, with or without sound."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=16_000, layout="mono") if audio else None
        for _ in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            samples = av.AudioFrame.from_ndarray(signal(2.0).reshape(1, -1), format="fltp", layout="mono")
            samples.sample_rate = 16_000
            container.mux(sound.encode(samples))
            container.mux(sound.encode(None))
    return path


def refused(path: Path) -> FailureReason:
    with pytest.raises(PermanentFailure) as caught:
        probe(path)
    assert caught.value.chunk_number is None
    return caught.value.reason


@pytest.mark.parametrize("kind", EXPECTED)
def test_every_kind_is_known_with_its_true_length(tmp_path, kind):
    path = encode(tmp_path / "file", signal(3.456), kind)
    probed = probe(path)
    assert (probed.content_type, probed.codec, probed.sample_rate_hz) == EXPECTED[kind]
    assert abs(probed.duration_ms - 3456) <= FRAME_MS.get(kind, 2)
    assert (probed.channels, probed.has_video) == (1, False)
    data = path.read_bytes()
    assert (probed.size_bytes, probed.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_kinds_of_the_material_are_all_probed():
    assert set(EXPECTED) | {"flac24", "wav24", "aiff24", "float", "alaw"} == set(KINDS)


def test_a_browsers_webm_without_a_duration_is_measured(tmp_path):
    path = encode(tmp_path / "file", signal(3.456), "webm")
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88")  # the Duration element, made Void as if never written
    path.write_bytes(data[:at] + b"\xec\x89" + data[at + 2 : at + 11] + data[at + 11 :])
    assert abs(probe(path).duration_ms - 3456) <= 20


def test_a_header_that_lies_is_not_believed(tmp_path):
    mp3 = encode(tmp_path / "mp3", signal(2.0), "mp3").read_bytes()
    twice = tmp_path / "twice"
    start = mp3.index(b"\xff\xf3")
    twice.write_bytes(mp3 + mp3[start + 288 :])  # the tag of the first half counts half of the frames
    assert abs(probe(twice).duration_ms - 4000) < 200  # both halves keep their encoder's padding


@pytest.mark.parametrize("seconds", [3.456, 20.0])
def test_adts_lasts_as_long_as_its_frames_for_it_has_no_header_to_say_so(tmp_path, seconds):
    path = encode(tmp_path / "file", signal(seconds) * np.linspace(0, 1, round(seconds * 16_000))[:, None], "aac")
    assert abs(probe(path).duration_ms - len(pyav_read(path)[0]) / 16) <= 1


@pytest.mark.parametrize("picture", [0, 300_000])
def test_an_mp3_with_a_large_picture_lasts_as_long_as_without(tmp_path, picture):
    frames = encode(tmp_path / "mp3", signal(3.456), "mp3").read_bytes()
    tag = b"ID3\4\0\0" + bytes(picture >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(picture)
    path = tmp_path / "tagged"
    path.write_bytes(tag + frames)
    assert abs(probe(path).duration_ms - 3456) <= 2


@pytest.mark.parametrize("behind", [b"", bytes(5000), random.Random(5).randbytes(5000)], ids=["nothing", "zeros", "noise"])
def test_ogg_opus_files_one_behind_the_other_last_as_long_as_all_together(tmp_path, behind):
    links = [encode(tmp_path / f"link-{k}", signal(seconds), "opus") for k, seconds in enumerate((1.5, 2.25, 0.5))]
    path = tmp_path / "chained"
    path.write_bytes(b"".join(link.read_bytes() for link in links) + behind)
    assert probe(path).duration_ms == 4250


@pytest.mark.parametrize("named", ["whole", "other.wav"])
def test_a_list_of_files_is_no_media_and_opens_none_of_them(tmp_path, named):
    encode(tmp_path / "other.wav", signal(1.0), "wav")
    path = tmp_path / "whole"
    path.write_text(f"ffconcat version 1.0\nfile {named}\n")
    assert refused(path) is FailureReason.UNSUPPORTED_FORMAT


def test_a_streamed_wav_lasts_as_long_as_its_samples(tmp_path):
    samples = (signal(2.5) * 32767).astype("<i2").tobytes()
    layout = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    unsized = struct.pack("<I", 0xFFFFFFFF)
    path = tmp_path / "wav"
    path.write_bytes(b"RIFF" + unsized + b"WAVEfmt " + struct.pack("<I", 16) + layout + b"data" + unsized + samples)
    assert probe(path).duration_ms == 2500


def test_a_cut_upload_lasts_as_long_as_what_came(tmp_path):
    whole = encode(tmp_path / "whole", signal(4.0), "wav").read_bytes()
    half = tmp_path / "half"
    half.write_bytes(whole[: len(whole) // 2])
    assert abs(probe(half).duration_ms - 2000) < 10


def test_video_with_sound_is_said_to_be_video(tmp_path):
    probed = probe(video(tmp_path / "file", audio=True))
    assert (probed.content_type, probed.codec, probed.has_video) == ("video/mp4", "aac", True)
    assert abs(probed.duration_ms - 2000) < 70


def test_silent_video_still_has_a_length(tmp_path):
    probed = probe(video(tmp_path / "file", audio=False))
    assert (probed.sample_rate_hz, probed.channels, probed.has_video) == (0, 0, True)
    assert abs(probed.duration_ms - 2000) <= 100


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", FailureReason.UNSUPPORTED_FORMAT),
        (b"not audio at all\n" * 200, FailureReason.UNSUPPORTED_FORMAT),
        (random.Random(5).randbytes(50_000), FailureReason.UNSUPPORTED_FORMAT),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), FailureReason.UNSUPPORTED_FORMAT),
        (b"\0\0\0\x20ftypM4A " + bytes(20) + random.Random(5).randbytes(9000), FailureReason.AUDIO_CORRUPT),
        (b"RIFF\x10\0\0\0WAVEfmt ", FailureReason.AUDIO_CORRUPT),
        (b"OggS\0\x02" + bytes(8) + random.Random(5).randbytes(9000), FailureReason.AUDIO_CORRUPT),
    ],
)
def test_what_is_no_media_is_refused(tmp_path, data, reason):
    path = tmp_path / "file"
    path.write_bytes(data)
    assert refused(path) is reason


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2_000_000_000])
def test_a_rate_at_which_nobody_records_is_refused(tmp_path, rate):
    path = encode(tmp_path / "file", signal(0.5), "au")
    data = path.read_bytes()
    path.write_bytes(data[:16] + struct.pack(">I", rate) + data[20:])
    assert refused(path) is FailureReason.UNSUPPORTED_FORMAT


def test_sound_is_measured_to_its_end_where_pictures_begin_late(tmp_path):
    probed = probe(late_pictures(tmp_path / "call.flv", 20))
    assert (probed.codec, probed.duration_ms) == ("pcm_s16le", 20_000)
