"""Runs one task in a worker process of its own, and scores what comes back."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from faster_whisper import WhisperModel

from bench.speech.audio import Task
from bench.speech.scores import SaidWord, Span, diarization_error_rate, word_error_rate, wrong_speaker_rate
from bench.transcribe import cost_of, peak_mib
from deploy.local.sample_speech import Turn
from services.transcriber.diarization.sherpa import SherpaDiarizer
from services.transcriber.ports import Progress, SpeechRequest
from services.transcriber.providers.decode import decoded
from services.transcriber.providers.whisper import WhisperProvider, WhisperSettings, whisper_pool
from services.transcriber.samples import RATE
from shared.domain.transcript import Segment, Transcript
from shared.workers import Entry, ProcessPool, Report, Work


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One task's figures; rates are shares of 1, and None where there is nothing to compare with.

    `raw_words` is the word error rate of faster-whisper alone; `made_up` counts words where nobody speaks.
    """

    name: str
    length_s: float
    words: float | None
    raw_words: float | None
    wrong_speakers: float | None
    diarization: float | None
    speakers: str
    made_up: int | None
    cpu_share: float
    peak_mib: float


async def measured(task: Task, settings: WhisperSettings) -> Row:
    """Transcribe the task's file, and where voices alone tell its speakers apart, do that once more by itself."""
    transcript, cpu_s, peak = await _transcribed(task, settings)
    raw = await _raw_text(task, settings) if task.said and not task.multichannel else None
    length_s = transcript.duration_ms / 1000
    return Row(
        name=task.name,
        length_s=length_s,
        words=word_error_rate(task.text, transcript.text) if task.said else None,
        raw_words=None if raw is None else word_error_rate(task.text, raw),
        wrong_speakers=wrong_speaker_rate(_by_turn(task.said), _by_segment(transcript.segments)) if task.said else None,
        diarization=diarization_error_rate(_spans(task.turns), _heard_spans(task, settings, transcript)) if task.turns else None,
        speakers=f"{transcript.speaker_count or 0}/{len({turn.speaker for turn in task.said})}",
        made_up=None if task.said else transcript.word_count,
        cpu_share=cpu_s / length_s,
        peak_mib=peak,
    )


async def _transcribed(task: Task, settings: WhisperSettings) -> tuple[Transcript, float, float]:
    if task.piece_s is not None:
        settings = msgspec.structs.replace(settings, piece_max_s=task.piece_s, cut_search_s=task.piece_s / 2.5)
    pool = whisper_pool(settings, size=1)
    await pool.start()
    request = SpeechRequest(audio_path=task.path, language="en", diarization=True, multichannel=task.multichannel)
    results: list[Transcript] = []

    async def work() -> None:
        results.append(await WhisperProvider(pool).transcribe(request, _unheard))

    cost = await cost_of(pool.pids[0], work)
    peak = peak_mib(pool.pids[0])
    await pool.stop()
    return results[0], cost.cpu_s, peak


async def _raw_text(task: Task, settings: WhisperSettings) -> str:
    """What faster-whisper alone makes of the file, with the same options, in a process that is limited as ours is."""
    pool: ProcessPool[str, str] = ProcessPool(Entry("bench.speech.lab", "initialize_raw", settings), size=1)
    await pool.start()
    text = await pool.run(str(task.path))
    await pool.stop()
    return text


def initialize_raw(settings: WhisperSettings) -> Work[str, str]:
    """Return what a script does with faster-whisper."""
    model = WhisperModel(str(settings.model_path), device="cpu", compute_type="int8", cpu_threads=settings.cpu_threads)

    def transcribe(path: str, _: Report) -> str:
        segments, _info = model.transcribe(
            path,
            language="en",
            beam_size=settings.beam,
            word_timestamps=True,
            vad_filter=True,
            condition_on_previous_text=settings.condition_on_previous_text,
        )
        return " ".join(segment.text for segment in segments)

    return transcribe


def _heard_spans(task: Task, settings: WhisperSettings, transcript: Transcript) -> list[Span]:
    """Who speaks when: as the transcript says where each has a channel, for no diarizer is asked then; else as that does."""
    if task.multichannel:
        return [(segment.start, segment.end, segment.speaker) for segment in transcript.segments]
    return turns_of(task, settings)


def turns_of(task: Task, settings: WhisperSettings) -> list[Span]:
    """Who speaks when, by the diarizer alone, in pieces of the length that the worker takes."""
    assert settings.diarization is not None, "the lab was started without the voice models"
    listening = SherpaDiarizer(settings.diarization).listen()
    samples = np.concatenate(list(decoded(task.path)))
    size = round((task.piece_s or settings.piece_max_s) * RATE)
    for start in range(0, len(samples), size):
        listening.hear(samples[start : start + size])
    return [(turn.start, turn.end, turn.speaker) for turn in listening.turns()]


def _spans(turns: Sequence[Turn]) -> list[Span]:
    return [(turn.start, turn.end, turn.speaker) for turn in turns]


def _by_turn(turns: Sequence[Turn]) -> Iterator[SaidWord]:
    return ((word, turn.speaker) for turn in turns for word in turn.text.split())


def _by_segment(segments: Sequence[Segment]) -> Iterator[SaidWord]:
    return ((word, segment.speaker) for segment in segments for word in segment.text.split())


def _unheard(_: Progress) -> None:
    """Take no note of progress."""
