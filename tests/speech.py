"""Fixtures for tests with real speech and a real model; import them in the conftest of the folder that wants them."""

import re
from pathlib import Path

import jiwer
import pytest

from deploy.local.sample_speech import Sample, conversation, reading
from services.transcriber.model_folders import default_folder
from services.transcriber.models import ModelSource, resolve_model


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


def plain_words(text: str) -> str:
    """Small letters without punctuation, as both sides of a word error rate are written."""
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.lower().replace("mr.", "mister")).split())


def word_error_rate(reference: str, heard: str) -> float:
    """The share of the reference's words that were lost, added or changed."""
    return float(jiwer.wer(plain_words(reference), plain_words(heard)))
