"""One recording in, piece by piece, one transcript out: what runs in a worker process."""

from collections.abc import Iterator

import msgspec

from services.transcriber.diarization.attribute import attributed
from services.transcriber.diarization.ports import Diarizer
from services.transcriber.diarization.sherpa import SherpaDiarizer
from services.transcriber.ports import SpeechRequest
from services.transcriber.providers.channels import separate_channels
from services.transcriber.providers.decode import decoded, duration_s
from services.transcriber.providers.meter import Meter
from services.transcriber.providers.pieces import Cutter, Piece
from services.transcriber.providers.sentences import sentences
from services.transcriber.providers.spoken_language import SpokenLanguage
from services.transcriber.providers.whisper import WhisperSettings
from services.transcriber.providers.whisper_model import Whisper, speech_probability
from services.transcriber.samples import RATE
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.transcript import Segment, Transcript, transcript_of
from shared.workers import Report, Work

SHORTEST = RATE - RATE // 50  # samples: a second cannot be transcribed with less; a codec may keep 20 ms of it
DIARIZING_SHARE = 0.4  # of the work, where speakers are told apart by their voices


def initialize(settings: WhisperSettings) -> Work[SpeechRequest, Transcript]:
    """Load the models and run them once, so that the first job is as fast as the second."""
    engine = WhisperEngine(settings, SherpaDiarizer(settings.diarization) if settings.diarization else None)
    engine.warm_up()
    return engine.transcribe


class WhisperEngine:
    """A loaded model, with a diarizer where there is one; without it nobody is told apart but by channels."""

    def __init__(self, settings: WhisperSettings, diarizer: Diarizer | None = None) -> None:
        self._whisper, self._diarizer = Whisper(settings), diarizer
        self._cutter = Cutter(
            longest=round(settings.piece_max_s * RATE),
            search=round(settings.cut_search_s * RATE),
            speech_probability=speech_probability,
        )

    def warm_up(self) -> None:
        """Touch every part of the models."""
        self._whisper.warm_up()

    def transcribe(self, request: SpeechRequest, report: Report) -> Transcript:
        """The transcript of the file at `request.audio_path`; memory is bounded by the piece, not the file."""
        channels = separate_channels(request.audio_path) if request.multichannel else ()
        recording = _Recording(self._whisper, self._cutter, request)
        segments = recording.by_channel(channels, report) if channels else recording.mixed(self._diarizer, report)
        duration_ms = round(recording.samples * 1000 / RATE)
        language = recording.language.decided() if segments else recording.language.given
        return transcript_of(segments, language=language, duration_ms=duration_ms)


class _Recording:
    """One recording on its way through the model."""

    def __init__(self, whisper: Whisper, cutter: Cutter, request: SpeechRequest) -> None:
        self._whisper, self._cutter, self._request = whisper, cutter, request
        self._total_s = request.duration_ms / 1000 if request.duration_ms else duration_s(request.audio_path)
        self.language = SpokenLanguage(whisper.known(request.language))
        self.samples = 0

    def mixed(self, diarizer: Diarizer | None, report: Report) -> list[Segment]:
        """What is said, and where it was asked for and can be had, by whom: the voices are told apart."""
        listening = diarizer.listen(self._request.num_speakers) if diarizer and self._request.diarization else None
        meter = Meter(report, self._total_s, aside=DIARIZING_SHARE if listening else 0.0)
        meter.begins("transcribing")
        segments: list[Segment] = []
        for piece in self._pieces(None):
            segments.extend(meter.hearing(self._segments(piece)))
            meter.reached((piece.start + len(piece.samples)) / RATE)
            if listening:
                listening.hear(piece.samples)
        if listening:
            meter.begins("diarizing")
            segments = attributed(segments, listening.turns())
        meter.done()
        return segments

    def by_channel(self, channels: tuple[int, ...], report: Report) -> list[Segment]:
        """What is said in each channel, sentence by sentence; a channel is a speaker, numbered as in the file."""
        meter = Meter(report, self._total_s, passes=len(channels))
        meter.begins("transcribing")
        spoken: list[Segment] = []
        for channel in channels:
            segments: list[Segment] = []
            for piece in self._pieces(channel):
                for segment in meter.hearing(self._segments(piece)):
                    segments.extend(sentences(segment))
                meter.reached((piece.start + len(piece.samples)) / RATE)
            spoken += [_spoken_by(channel, segment) for segment in segments] if self._request.diarization else segments
            meter.next_pass()
        meter.done()
        return spoken

    def _pieces(self, channel: int | None) -> Iterator[Piece]:
        """The audio in pieces; raises `audio_too_short` when there is less than a second."""
        end = 0
        for piece in self._cutter.pieces(decoded(self._request.audio_path, channel)):
            end = piece.start + len(piece.samples)
            if end < SHORTEST:
                break
            self.samples = max(self.samples, end)
            yield piece
        if end < SHORTEST:  # a few samples come to none at our rate
            raise PermanentFailure(FailureReason.AUDIO_TOO_SHORT, "the audio is shorter than one second")

    def _segments(self, piece: Piece) -> Iterator[Segment]:
        return self._whisper.segments(piece, self.language, self._request.hints)


def _spoken_by(channel: int, segment: Segment) -> Segment:
    name = f"SPEAKER_{channel}"
    words = tuple(msgspec.structs.replace(word, speaker=name) for word in segment.words)
    return msgspec.structs.replace(segment, words=words, speaker=name)
