"""A worker's time against raw faster-whisper with the same options, in turns, in the same run; goal at most 1.05 times.

Then two jobs at once against two raw processes, and the same with speakers told apart, against raw faster-whisper followed by
raw sherpa-onnx, where its models are.

`python -m bench.transcribe [--parts one two speakers]` uses half a minute of real speech; `--minutes 5 30` repeats it to those
lengths instead, each in a new worker, and prints the peak memory, which must not grow with the length.
"""

import argparse
import asyncio
import os
import statistics
import time
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import sherpa_onnx
from faster_whisper import WhisperModel
from faster_whisper.audio import decode_audio

from deploy.local.sample_speech import reading
from services.transcriber.diarization.settings import SherpaSettings
from services.transcriber.model_folders import ModelUnavailable, default_folder
from services.transcriber.models import ModelSource, resolve_model
from services.transcriber.ports import Progress, SpeechRequest
from services.transcriber.providers.whisper import WhisperProvider, WhisperSettings, whisper_pool
from services.transcriber.voice_models import VoiceSource, resolve_voice_models
from shared.workers import Entry, ProcessPool, Report, Work

GOAL = 1.05
PARTS = ("one", "two", "speakers")
TICKS = os.sysconf("SC_CLK_TCK")


class Cost(msgspec.Struct, frozen=True):
    """Seconds of wall clock and of the worker's CPU."""

    wall_s: float
    cpu_s: float


def initialize_raw(settings: WhisperSettings) -> Work[str, int]:
    """Return the peer: what a script does with faster-whisper, and with sherpa-onnx when speakers are to be told apart."""
    model = WhisperModel(str(settings.model_path), device="cpu", compute_type="int8", cpu_threads=settings.cpu_threads)
    diarizer = raw_sherpa(settings.diarization) if settings.diarization else None

    def transcribe(path: str, _: Report) -> int:
        segments, _info = model.transcribe(
            path,
            language="en",
            beam_size=settings.beam,
            word_timestamps=True,
            vad_filter=True,
            condition_on_previous_text=settings.condition_on_previous_text,
        )
        words = sum(len(segment.words or ()) for segment in segments)
        turns = diarizer.process(decode_audio(path)).num_segments if diarizer else 0
        return words + int(turns)

    return transcribe


def raw_sherpa(settings: SherpaSettings) -> Any:  # noqa: ANN401 - sherpa-onnx is not typed
    """Return what its own documentation makes of the two models, with our threshold."""
    pyannote = sherpa_onnx.OfflineSpeakerSegmentationPyannoteModelConfig(model=str(settings.segmentation))
    return sherpa_onnx.OfflineSpeakerDiarization(
        sherpa_onnx.OfflineSpeakerDiarizationConfig(
            segmentation=sherpa_onnx.OfflineSpeakerSegmentationModelConfig(pyannote=pyannote),
            embedding=sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(settings.voices)),
            clustering=sherpa_onnx.FastClusteringConfig(threshold=settings.threshold),
        )
    )


def cpu_s(pid: int) -> float:
    """Return the CPU a process has used, as Linux counts it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(pid: int) -> float:
    """Return the most memory a process has held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def cost_of(pid: int, work: Callable[[], Awaitable[object]]) -> Cost:
    """Measure one run."""
    wall, cpu = time.perf_counter(), cpu_s(pid)
    await work()
    return Cost(time.perf_counter() - wall, cpu_s(pid) - cpu)


async def compare(settings: WhisperSettings, path: Path, rounds: int) -> None:
    """Print the ratio of each round's pair, median and spread."""
    ours = whisper_pool(settings, size=1)
    raw: ProcessPool[str, int] = ProcessPool(Entry("bench.transcribe", "initialize_raw", settings), size=1)
    await asyncio.gather(ours.start(), raw.start())
    provider = WhisperProvider(ours)
    request = SpeechRequest(audio_path=path, language="en", diarization=settings.diarization is not None)
    peer = "raw faster-whisper and sherpa-onnx" if settings.diarization else "raw faster-whisper"
    pairs = []
    for number in range(rounds + 1):
        theirs = await cost_of(raw.pids[0], lambda: raw.run(str(path)))
        mine = await cost_of(ours.pids[0], lambda: provider.transcribe(request, _unheard))
        if number:  # the first pair warms both
            pairs.append((mine, theirs))
    await asyncio.gather(ours.stop(), raw.stop())
    for name in ("wall_s", "cpu_s"):
        ratios = [getattr(mine, name) / getattr(theirs, name) for mine, theirs in pairs]
        ours_s, raw_s = (statistics.median(getattr(pair[side], name) for pair in pairs) for side in (0, 1))
        print(
            f"transcribe {name}: worker {ours_s:.2f} s, {peer} {raw_s:.2f} s, "
            f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, {rounds} rounds; goal {GOAL})"
        )


async def compare_two(settings: WhisperSettings, path: Path, rounds: int) -> None:
    """Print the ratio of two jobs at once in two workers to two raw processes at once."""
    ours = whisper_pool(settings, size=2)
    raw: ProcessPool[str, int] = ProcessPool(Entry("bench.transcribe", "initialize_raw", settings), size=2)
    await asyncio.gather(ours.start(), raw.start())
    provider, request = WhisperProvider(ours), SpeechRequest(audio_path=path, language="en")
    pairs = []
    for number in range(rounds + 1):
        theirs_s = await wall_s(raw.run(str(path)), raw.run(str(path)))
        mine_s = await wall_s(*(provider.transcribe(request, _unheard) for _ in range(2)))
        if number:  # the first pair warms both
            pairs.append((mine_s, theirs_s))
    await asyncio.gather(ours.stop(), raw.stop())
    ratios = [mine_s / theirs_s for mine_s, theirs_s in pairs]
    mine_s, theirs_s = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    print(
        f"transcribe two at once: two workers {mine_s:.2f} s, two raw faster-whisper processes {theirs_s:.2f} s, "
        f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, {rounds} rounds)",
        flush=True,
    )


async def wall_s(*work: Awaitable[object]) -> float:
    """Await everything at once; return how long the last took."""
    began = time.perf_counter()
    await asyncio.gather(*work)
    return time.perf_counter() - began


async def measure_memory(settings: WhisperSettings, path: Path, minutes: float) -> None:
    """Print what a long file costs."""
    with TemporaryDirectory() as folder:
        long = Path(folder) / "long.wav"
        length_s = repeat(path, long, minutes)
        pool = whisper_pool(settings, size=1)
        await pool.start()
        before = peak_mib(pool.pids[0])
        cost = await cost_of(
            pool.pids[0], lambda: WhisperProvider(pool).transcribe(SpeechRequest(audio_path=long, language="en"), _unheard)
        )
        print(
            f"transcribe {length_s / 60:.1f} min: peak memory {peak_mib(pool.pids[0]):.0f} MiB (warm {before:.0f}), "
            f"{cost.wall_s:.0f} s wall, {cost.cpu_s / length_s:.3f} CPU s per s of audio"
        )
        await pool.stop()


def repeat(source: Path, into: Path, minutes: float) -> float:
    """Write `source` again and again until it is that long; returns the length in seconds."""
    with wave.open(str(source), "rb") as once, wave.open(str(into), "wb") as many:
        many.setparams(once.getparams())
        frames = once.readframes(once.getnframes())
        times = max(1, round(minutes * 60 * once.getframerate() / once.getnframes()))
        for _ in range(times):
            many.writeframes(frames)
        return times * once.getnframes() / once.getframerate()


def _unheard(_: Progress) -> None:
    """Take no note of progress."""


async def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--minutes", type=float, nargs="+", default=[])
    asked = parser.parse_args()
    settings = WhisperSettings(model_path=resolve_model(ModelSource(folders=(default_folder(),))), device="cpu")
    speech = reading(default_folder().parent / "speech").path
    for minutes in asked.minutes:
        await measure_memory(settings, speech, minutes)
    if asked.minutes:
        return
    if "one" in asked.parts:
        await compare(settings, speech, asked.rounds)
    if "two" in asked.parts:
        await compare_two(settings, speech, asked.rounds)
    if "speakers" in asked.parts:
        await compare_with_speakers(settings, speech, asked.rounds)


async def compare_with_speakers(settings: WhisperSettings, speech: Path, rounds: int) -> None:
    """Compare with speakers told apart, or say that the models for it are not here."""
    try:
        voices = resolve_voice_models(voice_source())
    except ModelUnavailable as unavailable:
        print(f"transcribe with speakers: skipped: {unavailable}")
    else:
        await compare(msgspec.structs.replace(settings, diarization=voices), speech, rounds)


def voice_source() -> VoiceSource:
    """Return where a transcriber of this machine would look for the models that tell speakers apart."""
    configured = os.environ.get("EARWITNESS_MODELS_DIR")
    return VoiceSource(folders=(Path(configured), default_folder()) if configured else (default_folder(),))


if __name__ == "__main__":
    asyncio.run(main())
