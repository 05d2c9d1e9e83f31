"""Whisper on this machine, in worker processes; the engine itself is `whisper_engine.py`, which only they import."""

from pathlib import Path
from typing import Literal

import msgspec

from services.transcriber.diarization.settings import SherpaSettings
from services.transcriber.ports import OnProgress, SpeechRequest
from shared.domain.transcript import Transcript
from shared.workers import Entry, ProcessPool, WorkerOptions

ENGINE = "services.transcriber.providers.whisper_engine"


class WhisperSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How Whisper runs in each worker process.

    `profile` `quality` decodes by beam search with fall-back temperatures; `fast` decodes many stretches of speech at once,
    greedily. `device` and `compute_type` `auto` are float16 on CUDA where there is one, else int8. One thread a process and
    as many processes as cores costs least per hour of audio. Audio is cut at pauses into pieces of at most `piece_max_s`,
    which bounds memory: about 0.9 MB a second of piece while its features are made.
    """

    model_path: Path
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = "auto"
    profile: Literal["quality", "fast"] = "quality"
    beam_size: int | None = None  # 5 for quality, 1 for fast
    batch_size: int = 8  # fast only
    cpu_threads: int = 1
    piece_max_s: float = 300.0
    cut_search_s: float = 60.0
    vad_threshold: float = 0.5
    no_speech_threshold: float = 0.6
    log_prob_threshold: float = -1.0
    compression_ratio_threshold: float = 2.4
    condition_on_previous_text: bool = False  # on, one wrong phrase can repeat for the rest of the piece
    diarization: SherpaSettings | None = None  # without it nobody is told apart by voice

    @property
    def beam(self) -> int:
        """The beam's size, the profile's own unless set."""
        return self.beam_size or (5 if self.profile == "quality" else 1)


WhisperPool = ProcessPool[SpeechRequest, Transcript]


def whisper_pool(settings: WhisperSettings, *, size: int) -> WhisperPool:
    """Worker processes that each hold the model; not started yet."""
    options = WorkerOptions(threads=settings.cpu_threads)
    return ProcessPool(Entry(ENGINE, "initialize", settings), size=size, options=options)


class WhisperProvider:
    """The provider `whisper`: requests wait for a free worker; a cancelled one kills its worker."""

    name = "whisper"

    def __init__(self, pool: WhisperPool, *, time_limit_s: float | None = None) -> None:
        self._pool = pool
        self._time_limit_s = time_limit_s

    async def transcribe(self, request: SpeechRequest, on_progress: OnProgress) -> Transcript:
        """See the port; also raises what the pool raises: `WorkerDied`, `WorkerTimedOut`, `WorkerFailed`, `PoolStopped`."""
        return await self._pool.run(request, on_progress=on_progress, time_limit_s=self._time_limit_s)
