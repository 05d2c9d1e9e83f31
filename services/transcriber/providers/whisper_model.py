"""The loaded Whisper model: a piece of audio in, what is said in it out, less what the model only imagines."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps, get_vad_model
from numpy.typing import NDArray

from services.transcriber.providers.loops import without_loops
from services.transcriber.providers.pieces import FRAME, Piece
from services.transcriber.providers.sentences import sentences
from services.transcriber.providers.spoken_language import SpokenLanguage
from services.transcriber.providers.whisper import WhisperSettings
from services.transcriber.providers.whisper_words import placed
from services.transcriber.samples import RATE, Samples
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.languages import base_language
from shared.domain.transcript import Segment

DETECTION_WINDOWS = 4  # of 30 s, looked at until one is sure of the language
VAD_OF_PROFILE: dict[str, dict[str, int]] = {
    "quality": {"min_silence_duration_ms": 2000, "speech_pad_ms": 400},
    "fast": {"min_silence_duration_ms": 160, "speech_pad_ms": 400},
}


class Whisper:
    """A model on its device."""

    def __init__(self, settings: WhisperSettings) -> None:
        self._settings = settings
        device = settings.device
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        compute_type = settings.compute_type
        if compute_type == "auto":
            compute_type = "float16" if device == "cuda" else "int8"
        self._model = WhisperModel(
            str(settings.model_path), device=device, compute_type=compute_type, cpu_threads=settings.cpu_threads
        )
        self._vad = VadOptions(threshold=settings.vad_threshold, **VAD_OF_PROFILE[settings.profile])
        self._hear = self._hearing()

    def warm_up(self) -> None:
        """Touch every part of the model and of the voice detector."""
        speech_probability(np.zeros(FRAME, dtype=np.float32))
        self._model.detect_language(np.zeros(RATE, dtype=np.float32))

    def segments(self, piece: Piece, language: SpokenLanguage, hints: str | None) -> Iterator[Segment]:
        """What is said in the piece, at its time in the whole; nothing where the voice detector hears nobody.

        `hints` are words that are likely to be said, or how they are to be written.
        """
        if language.known is None and not get_speech_timestamps(piece.samples, self._vad):
            return  # there is no language to detect
        heard, info = self._hear(piece.samples, language=language.known, hotwords=hints)
        language.heard(info.language, info.language_probability, info.duration_after_vad)
        for found in heard:
            if self._believable(found):
                segment = without_loops(placed(found, piece.start / RATE, info.language))
                yield from sentences(segment) if self._settings.profile == "fast" else (segment,)

    def known(self, language: str | None) -> str | None:
        """The given language as the model names it (`en-US` is `en`)."""
        if language is None:
            return None
        base = base_language(language)
        if self._model.model.is_multilingual and base not in self._model.supported_languages:
            raise PermanentFailure(FailureReason.PROCESSING_ERROR, f"the model does not know the language {language!r}")
        return base

    def _hearing(self) -> Any:  # noqa: ANN401 - faster-whisper is not typed
        """The model's call for the profile, with every option that does not differ between recordings."""
        settings = self._settings
        shared: dict[str, Any] = {
            "beam_size": settings.beam,
            "word_timestamps": True,
            "vad_filter": True,
            "language_detection_segments": DETECTION_WINDOWS,
        }
        if settings.profile == "fast":
            vad = {name: getattr(self._vad, name) for name in ("threshold", "min_silence_duration_ms", "speech_pad_ms")}
            return partial(
                BatchedInferencePipeline(self._model).transcribe,
                batch_size=settings.batch_size,
                without_timestamps=True,  # with them it loses what follows the last one in a window; we cut by words
                vad_parameters=vad,
                **shared,
            )
        return partial(
            self._model.transcribe,
            condition_on_previous_text=settings.condition_on_previous_text,
            no_speech_threshold=settings.no_speech_threshold,
            log_prob_threshold=settings.log_prob_threshold,
            compression_ratio_threshold=settings.compression_ratio_threshold,
            vad_parameters=self._vad,
            **shared,
        )

    def _believable(self, segment: Any) -> bool:  # noqa: ANN401 - faster-whisper is not typed
        """Refuses what the model itself doubts and that looks like silence or like a loop; the fast profile keeps such."""
        if segment.avg_logprob >= self._settings.log_prob_threshold:
            return True
        silent = segment.no_speech_prob > self._settings.no_speech_threshold
        return not silent and segment.compression_ratio <= self._settings.compression_ratio_threshold


def speech_probability(samples: Samples) -> NDArray[np.float32]:
    """How likely somebody speaks in each whole `FRAME`, by the voice detector that faster-whisper carries."""
    whole = len(samples) - len(samples) % FRAME
    if not whole:
        return np.empty(0, dtype=np.float32)
    return np.asarray(get_vad_model()(samples[:whole]), dtype=np.float32).reshape(-1)
