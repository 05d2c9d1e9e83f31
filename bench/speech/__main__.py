"""The speech lab: `make speech` prints how well, how fast and in how much memory the sample set is turned into who said what.

Change a model, an engine or an option, run it again, and compare. The errors come out the same on every run; CPU does not quite.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from bench.speech.audio import tasks
from bench.speech.lab import Row, measured
from bench.transcribe import voice_source
from services.transcriber.model_folders import default_folder
from services.transcriber.models import ModelSource, resolve_model
from services.transcriber.providers.whisper import WhisperSettings
from services.transcriber.voice_models import resolve_voice_models

HEADS = ("sample", "length", "WER", "raw WER", "wrong speaker", "DER", "speakers", "made up", "CPU s/s", "peak MiB")
WIDTHS = (25, 7, 7, 8, 14, 7, 9, 8, 8, 9)


def cells(row: Row) -> tuple[str, ...]:
    """The row as it is printed; a figure that does not apply is a dash."""
    return (
        row.name,
        f"{row.length_s:.0f} s",
        *(_percent(share) for share in (row.words, row.raw_words, row.wrong_speakers, row.diarization)),
        row.speakers,
        "-" if row.made_up is None else str(row.made_up),
        f"{row.cpu_share:.2f}",
        f"{row.peak_mib:.0f}",
    )


def line(columns: Sequence[str]) -> str:
    """One line of the table: names to the left, figures to the right."""
    aligned = [columns[0].ljust(WIDTHS[0]), *(text.rjust(width) for text, width in zip(columns[1:], WIDTHS[1:], strict=True))]
    return " ".join(aligned)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f} %"


def settings_of(asked: argparse.Namespace) -> WhisperSettings:
    """The models, from where a transcriber of this machine would take them, and the options to be tried."""
    source = voice_source()
    voices = resolve_voice_models(source)
    return WhisperSettings(
        model_path=resolve_model(ModelSource(model=asked.model, folders=source.folders)),
        device="cpu",
        profile=asked.profile,
        beam_size=asked.beam,
        diarization=msgspec.structs.replace(voices, threshold=asked.threshold),
    )


async def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(prog="python -m bench.speech", description=__doc__)
    parser.add_argument("--model", default="base", help="as EARWITNESS_WHISPER_MODEL (default: %(default)s)")
    parser.add_argument("--profile", choices=("quality", "fast"), default="quality")
    parser.add_argument("--beam", type=int, default=None, help="beam size; the profile's own unless given")
    parser.add_argument("--threshold", type=float, default=0.5, help="as EARWITNESS_DIARIZATION_THRESHOLD (default: %(default)s)")
    parser.add_argument("--only", default="", help="only the samples whose name holds this")
    asked = parser.parse_args()
    settings = settings_of(asked)
    print(f"model {asked.model}, profile {asked.profile}, beam {settings.beam}, threshold {asked.threshold}, one thread")
    print(line(HEADS))
    with TemporaryDirectory() as folder:
        for task in tasks(default_folder().parent / "speech", Path(folder)):
            if asked.only in task.name:
                print(line(cells(await measured(task, settings))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
