"""Fixtures for tests with real speech and a real model; import them in the conftest of the folder that wants them."""

import os
from pathlib import Path

import pytest

from bench.speech.scores import word_error_rate
from deploy.local.sample_speech import Sample, conversation, reading
from services.transcriber.diarization.settings import SherpaSettings
from services.transcriber.model_folders import ModelUnavailable, default_folder
from services.transcriber.models import ModelSource, resolve_model
from services.transcriber.voice_models import VoiceSource, resolve_voice_models

__all__ = ["real_conversation", "real_speech", "voice_models", "whisper_model", "word_error_rate"]


@pytest.fixture(scope="session")
def whisper_model() -> Path:
    """The folder of the real base model, fetched on first use."""
    return resolve_model(ModelSource(folders=(default_folder(),)))


@pytest.fixture(scope="session")
def real_speech() -> Sample:
    """Half a minute of one human voice, with its exact text."""
    return reading(default_folder().parent / "speech")


@pytest.fixture(scope="session")
def real_conversation() -> Sample:
    """Half a minute of two human voices on the telephone, with their exact text."""
    return conversation(default_folder().parent / "speech")


@pytest.fixture(scope="session")
def voice_models() -> SherpaSettings:
    """The models that tell speakers apart; they lie in the folder of the setting or in ours, and are fetched from nowhere."""
    configured = os.environ.get("EARWITNESS_MODELS_DIR")
    folders = (Path(configured), default_folder()) if configured else (default_folder(),)
    try:
        return resolve_voice_models(VoiceSource(folders=folders, fetch_allowed=False))
    except ModelUnavailable as unavailable:
        pytest.skip(f"EARWITNESS_MODELS_DIR names no folder with the models: {unavailable}")
