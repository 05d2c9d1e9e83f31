"""The Whisper model itself, as it runs in a worker process: one recording in, piece by piece, one transcript out."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps, get_vad_model
from numpy.typing import NDArray

from services.transcriber.ports import Progress, SpeechRequest
from services.transcriber.providers.decode import RATE, Samples, decoded, duration_s
from services.transcriber.providers.pieces import FRAME, Cutter, Piece
from services.transcriber.providers.sentences import sentences
from services.transcriber.providers.spoken_language import SpokenLanguage
from services.transcriber.providers.whisper import WhisperSettings
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.transcript import Segment, Transcript, Word, mean_confidence, transcript_of
from shared.workers import Report, Work

SHORTEST = RATE - RATE // 50  # samples: a second cannot be transcribed with less; a codec may keep 20 ms of it
DETECTION_WINDOWS = 4  # of 30 s, looked at until one is sure of the language
STAGE = "transcribing"
UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})  # scripts that the model cuts into words by characters


def initialize(settings: WhisperSettings) -> Work[SpeechRequest, Transcript]:
    """Load the model and run it once, so that the first job is as fast as the second."""
    engine = WhisperEngine(settings)
    engine.warm_up()
    return engine.transcribe


class WhisperEngine:
    """A loaded model."""

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
        self._vad = VadOptions(threshold=settings.vad_threshold, **_VAD_OF_PROFILE[settings.profile])
        self._cutter = Cutter(
            longest=round(settings.piece_max_s * RATE),
            search=round(settings.cut_search_s * RATE),
            speech_probability=speech_probability,
        )
        self._hear = self._hearing()

    def warm_up(self) -> None:
        """Touch every part of the model and of the voice detector."""
        speech_probability(np.zeros(FRAME, dtype=np.float32))
        self._model.detect_language(np.zeros(RATE, dtype=np.float32))

    def transcribe(self, request: SpeechRequest, report: Report) -> Transcript:
        """The transcript of the file at `request.audio_path`; memory is bounded by the piece, not the file."""
        total_s = request.duration_ms / 1000 if request.duration_ms else duration_s(request.audio_path)
        language = SpokenLanguage(self._known(request.language))
        segments: list[Segment] = []
        samples = 0
        for piece in self._cutter.pieces(decoded(request.audio_path)):
            samples = piece.start + len(piece.samples)
            if samples < SHORTEST:
                raise PermanentFailure(FailureReason.AUDIO_TOO_SHORT, "the audio is shorter than one second")
            for segment in self._segments(piece, language):
                segments.append(segment)
                report(_progress(segment.end, total_s))
            report(_progress(samples / RATE, total_s))
        report(Progress(1.0, STAGE))
        return transcript_of(segments, language=language.decided(), duration_ms=round(samples * 1000 / RATE))

    def _segments(self, piece: Piece, language: SpokenLanguage) -> Iterator[Segment]:
        """What is said in the piece, at its time in the whole; nothing where the voice detector hears nobody."""
        if language.known is None and not get_speech_timestamps(piece.samples, self._vad):
            return  # there is no language to detect
        heard, info = self._hear(piece.samples, language=language.known)
        language.heard(info.language, info.language_probability, info.duration_after_vad)
        for segment in heard:
            if self._believable(segment):
                placed = _placed(segment, piece.start / RATE, spaced=info.language not in UNSPACED)
                yield from sentences(placed) if self._settings.profile == "fast" else (placed,)

    def _hearing(self) -> Any:  # noqa: ANN401 - faster-whisper is not typed
        """The model's call for the profile, with every option but the audio and its language."""
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

    def _known(self, language: str | None) -> str | None:
        """The given language as the model names it (`en-US` is `en`)."""
        if language is None:
            return None
        base = language.replace("_", "-").split("-")[0].lower()
        if self._model.model.is_multilingual and base not in self._model.supported_languages:
            raise PermanentFailure(FailureReason.PROCESSING_ERROR, f"the model does not know the language {language!r}")
        return base


_VAD_OF_PROFILE: dict[str, dict[str, int]] = {
    "quality": {"min_silence_duration_ms": 2000, "speech_pad_ms": 400},
    "fast": {"min_silence_duration_ms": 160, "speech_pad_ms": 400},
}


def speech_probability(samples: Samples) -> NDArray[np.float32]:
    """How likely somebody speaks in each whole `FRAME`, by the voice detector that faster-whisper carries."""
    whole = len(samples) - len(samples) % FRAME
    if not whole:
        return np.empty(0, dtype=np.float32)
    return np.asarray(get_vad_model()(samples[:whole]), dtype=np.float32).reshape(-1)


def _progress(done_s: float, total_s: float | None) -> Progress:
    """Unknown length shows no progress until the end; a wrong one never more than all."""
    return Progress(min(done_s / total_s, 1.0) if total_s else 0.0, STAGE)


def _placed(segment: Any, offset_s: float, *, spaced: bool) -> Segment:  # noqa: ANN401 - faster-whisper is not typed
    """The model's segment in our form, moved to its place; the confidence is the mean of its words' probabilities.

    The model's own figure for a segment (`avg_logprob`) is that of the whole 30 s window, the same for all segments in it;
    it is used only where there are no words.
    """
    words = tuple(_word(parts, offset_s) for parts in _wholes(segment.words or (), spaced=spaced))
    confidence = mean_confidence(words) if words else float(np.exp(segment.avg_logprob))
    start, end = float(segment.start) + offset_s, float(segment.end) + offset_s
    return Segment(start=start, end=end, text=segment.text, confidence=confidence, words=words)


def _wholes(parts: Iterable[Any], *, spaced: bool) -> Iterator[list[Any]]:
    """The parts of each word: the model cuts before punctuation (`ill` + `-disposed`, `50` + `%`), and marks words by a space."""
    whole: list[Any] = []
    for part in parts:
        if whole and not (spaced and not part.word.startswith(" ")):
            yield whole
            whole = []
        whole.append(part)
    if whole:
        yield whole


def _word(parts: list[Any], offset_s: float) -> Word:
    return Word(
        word="".join(part.word for part in parts),
        start=float(parts[0].start) + offset_s,
        end=float(parts[-1].end) + offset_s,
        confidence=float(np.mean([part.probability for part in parts])),
    )
