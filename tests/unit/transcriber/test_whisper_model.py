"""On which device the model runs and in which form, and what of its words is believed."""

from types import SimpleNamespace

import numpy as np
import pytest

from services.transcriber.providers import whisper_model
from services.transcriber.providers.pieces import Piece
from services.transcriber.providers.spoken_language import SpokenLanguage
from services.transcriber.providers.whisper import WhisperSettings

MODEL = "a folder"


class Model:
    """A model that says what it is told to, and notes how it was made and asked."""

    def __init__(self, path, **options):
        self.options, self.asked, self.says = options, None, []
        Model.made = self

    def transcribe(self, _samples, **asked):
        self.asked = asked
        info = SimpleNamespace(language="en", language_probability=0.9, duration_after_vad=1.0)
        return iter(self.says), info


@pytest.fixture
def loaded(monkeypatch):
    """Loads a model with these settings on a machine with so many CUDA devices."""

    def load(cuda_devices=0, **settings):
        monkeypatch.setattr(whisper_model, "WhisperModel", Model)
        monkeypatch.setattr(whisper_model.ctranslate2, "get_cuda_device_count", lambda: cuda_devices)
        return whisper_model.Whisper(WhisperSettings(model_path=MODEL, **settings)), Model.made

    return load


def said(text, *, log_prob=-0.3, silent=0.1, compression=1.5):
    words = [SimpleNamespace(word=f" {word}", start=0.0, end=0.4, probability=0.9) for word in text.split()]
    doubts = {"avg_logprob": log_prob, "no_speech_prob": silent, "compression_ratio": compression}
    return SimpleNamespace(start=0.0, end=0.4, text=f" {text}", words=words, **doubts)


def heard(whisper):
    piece = Piece(start=0, samples=np.zeros(16_000, dtype=np.float32))
    return [segment.text.strip() for segment in whisper.segments(piece, SpokenLanguage("en"), None)]


@pytest.mark.parametrize(
    ("cuda_devices", "settings", "device", "compute_type"),
    [
        (0, {}, "cpu", "int8"),
        (2, {}, "cuda", "float16"),
        (2, {"device": "cpu"}, "cpu", "int8"),
        (0, {"device": "cuda"}, "cuda", "float16"),
        (1, {"compute_type": "int8_float16"}, "cuda", "int8_float16"),
    ],
)
def test_cuda_is_used_where_there_is_one_and_the_form_follows_the_device(loaded, cuda_devices, settings, device, compute_type):
    _, model = loaded(cuda_devices, **settings)
    assert (model.options["device"], model.options["compute_type"]) == (device, compute_type)


def test_the_guards_against_imagined_speech_reach_the_model(loaded):
    whisper, model = loaded()
    heard(whisper)
    assert (model.asked["vad_filter"], model.asked["vad_parameters"].threshold) == (True, 0.5)
    guards = ("no_speech_threshold", "log_prob_threshold", "compression_ratio_threshold", "condition_on_previous_text")
    assert [model.asked[name] for name in guards] == [0.6, -1.0, 2.4, False]


@pytest.mark.parametrize(
    ("doubts", "believed"),
    [
        ({}, True),
        ({"silent": 0.9}, True),  # it is sure of the words
        ({"compression": 5.0}, True),
        ({"log_prob": -1.5}, True),
        ({"log_prob": -1.5, "silent": 0.7}, False),
        ({"log_prob": -1.5, "compression": 2.5}, False),
    ],
)
def test_what_the_model_itself_doubts_and_looks_like_silence_or_a_loop_is_not_believed(loaded, doubts, believed):
    whisper, model = loaded()
    model.says = [said("Thanks for watching.", **doubts)]
    assert heard(whisper) == (["Thanks for watching."] if believed else [])
