"""A worker's peak memory over a long recording, as a ratio to its peak when it had heard the first part; goal at most 1.2.

One recording, a dialogue over and over, with real models and speakers told apart; its memory is read as the minutes go by.
`--piece` scales everything down that bounds memory: pieces of so many seconds, diarized in stretches of three. Without it
they are as in the service: `python -m bench.speech_memory --minutes 20 180` is the whole truth, and takes an hour of CPU.
"""

import argparse
import asyncio
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from bench.transcribe import peak_mib, repeat, voice_source
from deploy.local.sample_speech import dialogue
from services.transcriber.model_folders import ModelUnavailable
from services.transcriber.models import ModelSource, resolve_model
from services.transcriber.ports import Progress, SpeechRequest
from services.transcriber.providers.decode import decoded
from services.transcriber.providers.whisper import WhisperProvider, WhisperSettings, whisper_pool
from services.transcriber.providers.whisper_engine import DIARIZING_SHARE
from services.transcriber.samples import RATE
from services.transcriber.voice_models import resolve_voice_models

LENGTHS = [20.0, 180.0]
STRETCH_PIECES = 3
ENOUGH = 0.999  # of a mark's share of the progress


class Marks:
    """The worker's peak memory when so many minutes had been heard, and at the end."""

    def __init__(self, pid: int, minutes: list[float]) -> None:
        self._pid, self._minutes = pid, minutes
        self.peaks: dict[float, float] = {}

    def __call__(self, progress: Progress) -> None:
        """Read the memory when a mark is passed."""
        heard = progress.fraction / (1 - DIARIZING_SHARE) * self._minutes[-1]
        for mark in self._minutes[:-1]:
            if heard >= mark * ENOUGH and mark not in self.peaks:
                self.note(mark)

    def note(self, mark: float) -> None:
        """Read it now."""
        self.peaks[mark] = peak_mib(self._pid)
        print(f"  {mark:g} min: {self.peaks[mark]:.0f} MiB", flush=True)


async def measure(settings: WhisperSettings, minutes: list[float]) -> None:
    """Print the peak at each mark, and the ratio of the last to the first."""
    with TemporaryDirectory() as folder:
        long = Path(folder) / "long.wav"
        length_s = repeat(_as_wav(Path(folder) / "once.wav"), long, minutes[-1])
        pool = whisper_pool(settings, size=1)
        await pool.start()
        marks = Marks(pool.pids[0], minutes)
        request = SpeechRequest(audio_path=long, language="en", diarization=True)
        transcript = await WhisperProvider(pool).transcribe(request, marks)
        marks.note(minutes[-1])
        await pool.stop()
    peaks = ", ".join(f"{mark:g} min {peak:.0f} MiB" for mark, peak in sorted(marks.peaks.items()))
    first, last = marks.peaks[minutes[0]], marks.peaks[minutes[-1]]
    scaled = "" if minutes == LENGTHS else "; this is scaled down"
    print(f"heard {length_s / 60:.1f} min: {transcript.word_count} words, {transcript.speaker_count} speakers")
    print(f"speech_memory: {peaks}; ratio {last / first:.2f} (goal 1.2 from 20 to 180 min{scaled})")


def _as_wav(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        for block in decoded(dialogue().path):
            file.writeframes((block * 32767).astype("<i2").tobytes())
    return path


async def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=LENGTHS, help="the marks; the last is the length")
    parser.add_argument("--piece", type=float, default=None, help="seconds; as in the service unless given")
    asked = parser.parse_args()
    source = voice_source()
    try:
        voices = resolve_voice_models(source)
    except ModelUnavailable as unavailable:
        print(f"speech_memory: skipped: {unavailable}")
        return
    settings = WhisperSettings(
        model_path=resolve_model(ModelSource(folders=source.folders)), device="cpu", beam_size=1, diarization=voices
    )
    if asked.piece is not None:
        voices = msgspec.structs.replace(voices, stretch_s=STRETCH_PIECES * asked.piece)
        settings = msgspec.structs.replace(settings, piece_max_s=asked.piece, cut_search_s=asked.piece / 5, diarization=voices)
    await measure(settings, sorted(asked.minutes))


if __name__ == "__main__":
    asyncio.run(main())
