"""Finds every model that the settings ask for, before a worker process is started."""

from pathlib import Path

import msgspec

from services.transcriber.diarization.settings import SherpaSettings
from services.transcriber.model_folders import ModelUnavailable, default_folder
from services.transcriber.models import ModelSource, resolve_model
from services.transcriber.providers.whisper import WhisperSettings
from services.transcriber.settings import SpeechSettings
from services.transcriber.voice_models import VoiceSource, resolve_voice_models
from shared.telemetry.logs import get_logger

log = get_logger()


def with_models(speech: SpeechSettings) -> WhisperSettings:
    """How the worker processes run, with the models' places; blocks while it fetches. Raises `ModelUnavailable`."""
    folders = (speech.models_dir, default_folder()) if speech.models_dir else (default_folder(),)
    source = ModelSource(model=speech.whisper_model, folders=folders, hub_allowed=speech.whisper_hub_allowed)
    return WhisperSettings(
        model_path=resolve_model(source),
        device=speech.whisper_device,
        beam_size=speech.whisper_beam_size,
        diarization=_diarization(speech, folders),
    )


def _diarization(speech: SpeechSettings, folders: tuple[Path, ...]) -> SherpaSettings | None:
    """The engine's settings; none where it is off, or only wished for and its models are not to be had.

    No transcription is lost by it: it goes without speakers then.
    """
    if speech.diarization == "off":
        return None
    source = VoiceSource(
        folders=folders,
        fetch_allowed=speech.diarization_fetch_allowed,
        segmentation_sha256=speech.diarization_segmentation_sha256,
        voices_sha256=speech.diarization_voices_sha256,
    )
    try:
        found = resolve_voice_models(source)
    except ModelUnavailable as unavailable:
        if speech.diarization == "required":
            raise
        log.warning("diarization.unavailable", reason=str(unavailable))
        return None
    return msgspec.structs.replace(found, threshold=speech.diarization_threshold)
