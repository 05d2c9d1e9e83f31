"""Stereo of which one channel is the other turned over: what is heard is the speech, not the silence of their sum."""

import wave

import numpy as np
import pytest

from services.transcriber.providers.decode import decoded
from services.transcriber.samples import RATE


def heard(path):
    return np.concatenate(list(decoded(path)))


def save(path, left, right):
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.stack([left, right], axis=1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def speech(real_speech):
    return heard(real_speech.path)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("noise", [0.0, 0.0005])
def test_real_speech_with_one_channel_turned_over_is_heard_as_in_mono(tmp_path, speech, sign, noise):
    right = -speech + noise * np.random.default_rng(1).standard_normal(len(speech))
    samples = heard(save(tmp_path / "turned.wav", sign * speech, sign * np.clip(right, -1, 1)))
    assert len(samples) == len(speech)
    loud = np.abs(speech) > 0.02
    assert np.abs(sign * samples - speech)[loud].max() < (0.001 if noise == 0 else 0.05)
    assert np.square(samples).mean() == pytest.approx(np.square(speech).mean(), rel=0.02)


def test_two_voices_one_in_each_channel_are_mixed_as_ever(tmp_path, speech):
    left, right = speech.copy(), np.roll(speech, 5 * RATE)
    samples = heard(save(tmp_path / "two.wav", left, right))
    assert np.abs(samples - (left + right) / 2).max() < 0.001


def test_where_a_channel_turns_in_the_middle_nothing_clicks_or_is_lost(tmp_path):
    tone = (0.5 * np.sin(2 * np.pi * 200 * np.arange(4 * RATE) / RATE)).astype(np.float32)
    right = tone.copy()
    right[2 * RATE :] *= -1
    samples = heard(save(tmp_path / "middle.wav", tone, right))
    assert np.abs(samples[: 2 * RATE - RATE // 5] - tone[: 2 * RATE - RATE // 5]).max() < 0.001
    assert np.abs(samples[2 * RATE + RATE // 5 :] - tone[2 * RATE + RATE // 5 :]).max() < 0.001
    assert np.abs(np.diff(samples)).max() < 1.1 * np.abs(np.diff(tone)).max()
