"""Decoding: real containers and codecs, written by ffmpeg's libraries, read back as 16 kHz mono."""

import wave
from types import SimpleNamespace

import av
import numpy as np
import pytest

from services.transcriber.providers import decode
from services.transcriber.providers.decode import BLOCK, LEAST_STEP, MOST_STEPS_IN_PLACE, decoded, duration_s, readable_frames
from services.transcriber.samples import RATE
from shared.domain.errors import FailureReason, PermanentFailure
from tests.late_pictures import late_pictures


def tone(length_s, rate=RATE, hertz=440):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(length_s * rate)) / rate)).astype(np.float32)


def write(  # noqa: PLR0913 - the things a file can differ in
    path, samples, *, codec="pcm_s16le", rate=RATE, layout="mono", gap_after_s=None, gap_s=0.0
):
    """Encode; with a gap, what follows `gap_after_s` is stamped that much later."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        size = 960
        for start in range(0, len(samples), size):
            block = samples[start : start + size]
            channels = len(stream.layout.channels)
            frame = av.AudioFrame.from_ndarray(np.tile(block, (channels, 1)), format="fltp", layout=layout)
            frame.sample_rate = rate
            late = gap_after_s is not None and start >= gap_after_s * rate
            frame.pts = start + (round(gap_s * rate) if late else 0)
            for resampled in av.AudioResampler(stream.format, layout, rate).resample(frame):
                resampled.pts = frame.pts
                container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
    return path


def whole(path):
    return np.concatenate(list(decoded(path)))


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("a.wav", "pcm_s16le", 44100, "stereo"),
        ("a.flac", "flac", 96000, "mono"),
        ("a.ogg", "libopus", 48000, "mono"),
        ("a.mp3", "libmp3lame", 44100, "stereo"),
        ("a.m4a", "aac", 48000, "stereo"),
        ("a.webm", "libopus", 48000, "stereo"),
        ("low.wav", "pcm_s16le", 8000, "mono"),
    ],
)
def test_every_codec_rate_and_layout_becomes_16_khz_mono(tmp_path, name, codec, rate, layout):
    samples = whole(write(tmp_path / name, tone(3.0, rate), codec=codec, rate=rate, layout=layout))
    assert samples.dtype == np.float32
    assert len(samples) / RATE == pytest.approx(3.0, abs=0.07)
    spectrum = np.abs(np.fft.rfft(samples[RATE : 2 * RATE]))
    assert np.argmax(spectrum) == 440
    assert 0.2 < np.abs(samples).max() <= 1.0


def test_blocks_are_bounded(tmp_path):
    blocks = list(decoded(write(tmp_path / "long.wav", tone(45))))
    assert max(len(block) for block in blocks) == BLOCK
    assert sum(len(block) for block in blocks) == 45 * RATE


def test_a_hole_in_the_timestamps_becomes_silence(tmp_path):
    path = write(tmp_path / "hole.mka", tone(4.0), gap_after_s=2.04, gap_s=3.0)
    samples = whole(path)
    assert len(samples) / RATE == pytest.approx(7.0, abs=0.05)
    assert np.abs(samples[round(2.2 * RATE) : round(4.9 * RATE)]).max() == 0
    assert np.abs(samples[round(5.1 * RATE) :]).max() > 0.4


def test_many_small_holes_become_as_much_silence(tmp_path):
    full = write(tmp_path / "full.mka", tone(6.0))
    path = tmp_path / "holes.mka"
    with av.open(str(full)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for number, packet in enumerate(source.demux(audio=0)):
            if packet.dts is not None and number % 10:
                packet.stream = stream
                target.mux(packet)
    assert len(whole(path)) / RATE == pytest.approx(6.0, abs=0.15)


def test_not_a_number_becomes_silence_and_loud_is_clipped(tmp_path):
    samples = tone(2.0)
    samples[:100] = np.nan
    samples[100:200] = 7.0
    read = whole(write(tmp_path / "odd.wav", samples, codec="pcm_f32le"))
    assert np.isfinite(read).all()
    assert np.abs(read).max() <= 1.0


def test_a_truncated_file_gives_what_is_there(tmp_path):
    full = write(tmp_path / "full.ogg", tone(10, 48000), codec="libopus", rate=48000)
    cut = tmp_path / "cut.ogg"
    cut.write_bytes(full.read_bytes()[: full.stat().st_size // 2])
    assert 2 * RATE < len(whole(cut)) < 8 * RATE


@pytest.mark.parametrize("seed", [2, 9, 23, 45])
def test_a_damaged_packet_is_skipped_whatever_its_decoder_calls_it(tmp_path, seed):
    """AAC's says of some that they are invalid, of others a number of its own, and of some that they are not permitted."""
    path = write(tmp_path / "a.aac", tone(3.0), codec="aac")
    data, chance = bytearray(path.read_bytes()), np.random.default_rng(seed)
    at = int(chance.integers(len(data) // 2))
    data[at : at + 2000] = chance.bytes(2000)
    path.write_bytes(data)
    assert len(whole(path)) / RATE == pytest.approx(3.0, abs=1.0)


@pytest.mark.parametrize("largest_gap_s", [600.0, 10.0])
def test_what_comes_after_thousands_of_damaged_packets_is_heard_at_its_time(tmp_path, monkeypatch, largest_gap_s):
    """However long the damage is: the clock of packets that are there was not set anew."""
    monkeypatch.setattr(decode, "LARGEST_GAP_S", largest_gap_s)
    path = write(tmp_path / "a.m4a", tone(90.0, 48000), codec="aac", rate=48000)
    data = path.read_bytes()
    begin, length = data.index(b"mdat") + 4, data.index(b"moov") - data.index(b"mdat")
    first, last = begin + length // 4, begin + length * 3 // 4
    path.write_bytes(data[:first] + bytes(last - first) + data[last:])
    samples = whole(path)
    assert len(samples) / RATE == pytest.approx(90.0, abs=0.1)
    assert np.abs(samples[30 * RATE : 60 * RATE]).max() == 0
    assert np.abs(samples[70 * RATE :]).max() > 0.4


class Stuck:
    """A reader that finds the same damage again and again."""

    size = 10 * LEAST_STEP

    def __init__(self):
        self.streams, self.asked = SimpleNamespace(audio=["sound"]), 0

    def demux(self, _stream):
        self.asked += 1
        raise av.error.InvalidDataError(1, "damaged")
        yield


def test_a_file_that_can_be_read_no_further_is_corrupt():
    stuck = Stuck()
    with pytest.raises(PermanentFailure, match="to its end") as failed:
        list(readable_frames(stuck))
    assert failed.value.reason is FailureReason.AUDIO_CORRUPT
    assert MOST_STEPS_IN_PLACE <= stuck.asked <= 2 * MOST_STEPS_IN_PLACE


@pytest.mark.parametrize("content", [b"", b"hello, this is no audio", bytes(5000), b"RIFF\x00\x00\x00\x00WAVEjunk" * 50])
def test_what_is_not_media_is_corrupt(tmp_path, content):
    path = tmp_path / "junk"
    path.write_bytes(content)
    with pytest.raises(PermanentFailure) as failed:
        whole(path)
    assert failed.value.reason is FailureReason.AUDIO_CORRUPT
    assert str(tmp_path) not in failed.value.message


def test_sound_is_heard_to_its_end_where_pictures_begin_late(tmp_path):
    samples = whole(late_pictures(tmp_path / "call.flv", 20))
    assert len(samples) / RATE == pytest.approx(20.0, abs=0.05)
    assert np.abs(samples[-RATE:]).max() > 0.4


def test_pictures_alone_are_an_unsupported_format(tmp_path):
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    with pytest.raises(PermanentFailure) as failed:
        whole(path)
    assert failed.value.reason is FailureReason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("rate", [1, 999, 768_001])
def test_a_rate_at_which_nobody_records_is_corrupt(tmp_path, rate):
    path = write(tmp_path / "a.wav", tone(1.0))
    data = path.read_bytes()
    path.write_bytes(data[:24] + rate.to_bytes(4, "little") + data[28:])
    with pytest.raises(PermanentFailure) as caught:
        whole(path)
    assert caught.value.reason is FailureReason.AUDIO_CORRUPT


def test_a_header_without_samples_is_corrupt(tmp_path):
    path = tmp_path / "empty.wav"
    with wave.open(str(path), "wb") as empty:
        empty.setparams((1, 2, RATE, 0, "NONE", ""))
    with pytest.raises(PermanentFailure) as failed:
        whole(path)
    assert failed.value.reason is FailureReason.AUDIO_CORRUPT


def test_the_header_tells_the_length(tmp_path):
    assert duration_s(write(tmp_path / "a.wav", tone(2))) == pytest.approx(2.0)
    (tmp_path / "junk").write_bytes(b"junk")
    assert duration_s(tmp_path / "junk") is None


def test_a_missing_file_is_not_the_audio_s_fault(tmp_path):
    with pytest.raises(FileNotFoundError):
        whole(tmp_path / "nowhere.wav")
