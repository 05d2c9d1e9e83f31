"""Channels: which of a file's are heard one by one, and what each of them holds."""

import os
import wave

import av
import numpy as np
import pytest

from services.transcriber.ports import MOST_CHANNELS
from services.transcriber.providers.channels import are_alike, separate_channels
from services.transcriber.providers.compare_channels import CompareChannels
from services.transcriber.providers.decode import decoded
from services.transcriber.samples import RATE

SECOND = np.arange(2 * RATE) / RATE


def tone(hertz):
    return (0.5 * np.sin(2 * np.pi * hertz * SECOND)).astype(np.float32)


SILENCE = np.zeros(2 * RATE, dtype=np.float32)


def save(path, *channels, rate=RATE):
    with wave.open(str(path), "wb") as file:
        file.setparams((len(channels), 2, rate, 0, "NONE", ""))
        file.writeframes((np.stack(channels, axis=1) * 32767).astype("<i2").tobytes())
    return path


def pitch(samples):
    return int(np.argmax(np.abs(np.fft.rfft(samples[:RATE]))))


def whole(path, channel=None):
    return np.concatenate(list(decoded(path, channel)))


@pytest.mark.parametrize(
    ("channels", "own"),
    [
        ([tone(300)], ()),
        ([tone(300), tone(500)], (0, 1)),
        ([tone(300), tone(300)], ()),
        ([tone(300), 0.2 * tone(300)], ()),
        ([tone(300), -tone(300)], ()),
        ([tone(300), SILENCE], (0, 1)),
        ([SILENCE, tone(300)], (0, 1)),
        ([SILENCE, SILENCE], ()),
        ([tone(300), tone(300), tone(500)], (0, 2)),
        ([tone(100 * number) for number in range(1, MOST_CHANNELS + 1)], tuple(range(MOST_CHANNELS))),
        ([tone(100 * number) for number in range(1, MOST_CHANNELS + 2)], ()),
    ],
)
def test_channels_that_say_something_of_their_own_are_heard_one_by_one(tmp_path, channels, own):
    assert separate_channels(save(tmp_path / "a.wav", *channels)) == own


def test_a_damaged_packet_makes_no_one_of_two_channels(tmp_path):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.stack([tone(300), tone(500)]), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        container.mux([*stream.encode(frame), *stream.encode(None)])
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = np.random.default_rng(1).bytes(300)
    path.write_bytes(data)
    assert separate_channels(path) == (0, 1)


def test_audio_of_a_codec_that_nobody_knows_has_no_channels(tmp_path):
    path = save(tmp_path / "a.wav", tone(300), tone(500))
    data = bytearray(path.read_bytes())
    data[20:22] = b"\x99\x99"  # the format's number
    path.write_bytes(data)
    assert separate_channels(path) == ()
    assert not are_alike(path)


def test_what_is_no_audio_has_no_channels(tmp_path):
    (tmp_path / "junk").write_bytes(b"junk")
    assert separate_channels(tmp_path / "junk") == ()
    assert not are_alike(tmp_path / "junk")


@pytest.mark.parametrize(
    ("channels", "alike"),
    [([tone(300)] * 2, True), ([tone(300), -0.2 * tone(300)], True), ([tone(300), tone(500)], False), ([SILENCE] * 2, False)],
)
async def test_channels_are_compared_in_a_process_of_their_own(tmp_path, channels, alike):
    assert await CompareChannels()(save(tmp_path / "a.wav", *channels)) is alike


async def test_channels_that_take_too_long_to_compare_are_not_known_to_be_alike(tmp_path):
    path = tmp_path / "endless"
    os.mkfifo(path)
    assert not await CompareChannels(time_limit_s=0.2)(path)


@pytest.mark.parametrize("rate", [8000, 44100, 48000, 96000])
def test_a_channel_is_decoded_alone_at_any_rate(tmp_path, rate):
    at = np.arange(2 * rate) / rate
    path = save(tmp_path / "a.wav", *(0.5 * np.sin(2 * np.pi * hertz * at) for hertz in (300, 500)), rate=rate)
    assert [pitch(whole(path, channel)) for channel in (0, 1)] == [300, 500]
    both = np.abs(np.fft.rfft(whole(path)[:RATE]))
    assert both[300] == pytest.approx(both[500], rel=0.05)


def test_every_voice_of_six_channels_is_in_the_mix(tmp_path):
    path = tmp_path / "surround.flac"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=48000, layout="5.1")
        at = np.arange(2 * 48000) / 48000
        channels = np.zeros((6, len(at)))
        channels[0], channels[2] = (0.5 * np.sin(2 * np.pi * hertz * at) for hertz in (300, 500))  # left and centre
        frame = av.AudioFrame.from_ndarray(channels.astype(np.float32), format="fltp", layout="5.1")
        frame.sample_rate = 48000
        for resampled in av.AudioResampler(stream.format, "5.1", 48000, frame_size=4096).resample(frame):
            container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
    mixed = np.abs(np.fft.rfft(whole(path)[:RATE]))
    assert set(np.argsort(mixed)[-2:]) == {300, 500}
    assert separate_channels(path) == tuple(range(6)), "a silent channel may speak later"


@pytest.mark.parametrize("count", [7, 8, 9, 16, 32])
def test_any_number_of_channels_is_mixed(tmp_path, count):
    path = save(tmp_path / "many.wav", *([tone(300)] * count))
    assert pitch(whole(path)) == 300
    assert pitch(whole(path, count - 1)) == 300


def test_a_channel_that_is_not_there_is_silence_as_long_as_the_others(tmp_path):
    samples = whole(save(tmp_path / "a.wav", tone(300), tone(500)), 5)
    assert (len(samples), np.abs(samples).max()) == (2 * RATE, 0)
