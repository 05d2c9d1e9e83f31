"""Joining needs the same memory however long the recording is: the audio passes through, it is never held."""

import os
import subprocess
import sys
import wave
from pathlib import Path

import pytest
from stitch_material import RATE, runs, signal

MIB = 1024 * 1024
ROOT = Path(__file__).parents[3]
SECONDS, RANGES = 5.0, 240
JOIN = """
import sys
from contextlib import suppress
from pathlib import Path
from services.stitcher.join import join_chunks
from shared.domain.errors import PermanentFailure

def memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

work, chunks = Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]]
for name in ("first", "whole"):
    (work / name).mkdir()
with suppress(PermanentFailure):  # the first of many byte ranges are no file
    join_chunks(chunks[:2], work / "first", threads=2)
Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS")
joined = join_chunks(chunks, work / "whole", threads=2)
print(memory("VmHWM") - before, joined.duration_ms, joined.size_bytes, joined.method)
"""


def joined(chunks: list[Path], work: Path) -> tuple[int, int, int, str]:
    """Join in a process of its own; how far its memory grew (bytes), how long and large the result is, and the method."""
    command = [sys.executable, "-c", JOIN, str(work), *map(str, chunks)]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    growth, duration_ms, size_bytes, method = done.stdout.split()
    return int(growth), int(duration_ms), int(size_bytes), method


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
@pytest.mark.parametrize(("kind", "method", "count"), [("opus", "reencode", 96), ("flac", "reencode", 240), ("wav", "pcm", 240)])
def test_many_minutes_are_joined_in_the_memory_of_a_few_seconds(tmp_path: Path, kind: str, method: str, count: int) -> None:
    (chunk,) = runs(tmp_path, signal(SECONDS), kind, SECONDS)
    growth, duration_ms, _, how = joined([chunk] * count, tmp_path)
    assert (how, duration_ms) == (method, count * SECONDS * 1000)
    assert growth < 24 * MIB  # the lossless ones are 37 MiB decoded; the others 88 MiB, as the encoder gets them


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process's memory is read from /proc")
def test_byte_ranges_of_a_large_file_pass_through(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "source"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(os.urandom(40 * MIB))
    whole = (tmp_path / "source").read_bytes()
    step = len(whole) // RANGES + 1
    chunks = []
    for number in range(RANGES):
        chunks.append(tmp_path / f"{number:06d}")
        chunks[-1].write_bytes(whole[number * step : (number + 1) * step])
    growth, _, size_bytes, how = joined(chunks, tmp_path)
    assert (how, size_bytes) == ("concatenate", len(whole))
    assert growth < 24 * MIB < len(whole)
