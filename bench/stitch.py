"""How fast the stitcher joins, against the plainest correct peer on the same bytes: `python -m bench.stitch`.

* independent Opus chunks: the `ffmpeg` program, concat filter and one libopus encode at the same bit rate and complexity;
* one encoder's packets, and byte ranges: copying the bytes one after the other with an MD5 over them.

Rounds alternate between the two sides. Ours runs in a fresh process each time, as the service's worker does, and is timed
inside it without the interpreter's start; memory growth is its peak over what it held before the join.
"""

import argparse
import hashlib
import json
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench import stitch_input
from services.stitcher.join import join_chunks

_COMPLEXITY = 10


class Peer(NamedTuple):
    """One run of the peer program."""

    seconds: float
    cpu_seconds: float


class Run(NamedTuple):
    """One run of ours."""

    seconds: float
    cpu_seconds: float
    growth_mib: float
    method: str
    duration_ms: int


def main() -> None:
    """Make the input, run the rounds, print the ratios."""
    options = _options()
    if options.child is not None:
        print(json.dumps(_join_here(options.child)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        title, signal = stitch_input.source(options.source)
        independent = stitch_input.independent(signal, folder, options.chunks)
        continuous = stitch_input.continuous(signal, folder, options.chunks)
        print(f"{options.chunks} chunks of 5 s, {title}, 16 kHz mono, Opus {stitch_input.BITRATE // 1000} kb/s")
        _compare_encode(independent, folder, options)
        remuxed = _compare_copy("one encoder's packets", continuous, folder, options.rounds)
        _compare_copy("byte ranges", stitch_input.ranges(remuxed, folder, options.chunks), folder, options.rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Stitching against its peers, as ratios.")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of every comparison (default 3)")
    parser.add_argument("--chunks", type=int, default=720, help="chunks of 5 s (default 720: one hour)")
    parser.add_argument("--round-chunks", type=int, default=72, help="chunks per round against ffmpeg (default 72)")
    parser.add_argument("--source", type=Path, help="speech to use (default: real speech where installed)")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _compare_encode(chunks: list[Path], folder: Path, options: argparse.Namespace) -> None:
    """Rounds over a part of the chunks for the spread, then once over all of them."""
    if shutil.which("ffmpeg") is None:
        print("independent chunks: ffmpeg is MISSING, so there is no peer and no ratio; ours alone:")
    part = chunks[: options.round_chunks]
    _report_encode([_encode_round(part, folder) for _ in range(options.rounds)], part)
    if len(chunks) > len(part):
        _report_encode([_encode_round(chunks, folder)], chunks)


def _encode_round(chunks: list[Path], folder: Path) -> tuple[Run, Peer | None]:
    ours = _ours(chunks, folder)
    expected = len(chunks) * stitch_input.SECONDS * 1000
    assert (ours.method, ours.duration_ms) == ("reencode", expected), ours
    return ours, _ffmpeg(chunks, folder / "peer.ogg", expected) if shutil.which("ffmpeg") else None


def _report_encode(rounds: list[tuple[Run, Peer | None]], chunks: list[Path]) -> None:
    minutes = len(chunks) * stitch_input.SECONDS / 60
    ours = [run.seconds for run, _ in rounds]
    pairs = [(run, peer) for run, peer in rounds if peer is not None]
    line = f"independent, {minutes:.0f} min in {len(chunks)} chunks, {len(rounds)} rounds: ours {_spread(ours)} s"
    if pairs:
        line += f", ffmpeg {_spread([peer.seconds for _, peer in pairs])} s"
        line += f", ratio {_spread([peer.seconds / run.seconds for run, peer in pairs])}x (goal 1.5x)"
        line += f", in CPU time {_spread([peer.cpu_seconds / run.cpu_seconds for run, peer in pairs])}x"
    print(f"{line}, memory growth {max(run.growth_mib for run, _ in rounds):.0f} MiB (goal < 64)", flush=True)


def _compare_copy(name: str, chunks: list[Path], folder: Path, rounds: int) -> bytes:
    ours, peers = [], []
    for _ in range(rounds):
        ours.append(_ours(chunks, folder))
        peers.append(_timed(lambda: _plain_copy(chunks, folder / "copy")))
    size = sum(path.stat().st_size for path in chunks) / 1e6
    ratios = [peer / own.seconds for own, peer in zip(ours, peers, strict=True)]
    print(
        f"{name} ({ours[0].method}), {size:.1f} MB in {len(chunks)} chunks, {rounds} rounds: "
        f"ours {_spread([run.seconds for run in ours])} s, copy + MD5 {_spread(peers)} s, ratio {_spread(ratios)}x, "
        f"{size / statistics.median(run.seconds for run in ours):.0f} MB/s, "
        f"memory growth {max(run.growth_mib for run in ours):.0f} MiB",
        flush=True,
    )
    return next((folder / "out").glob("joined*")).read_bytes()


def _ours(chunks: list[Path], folder: Path) -> Run:
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    job = folder / "job.json"
    job.write_text(json.dumps([[str(path) for path in chunks], str(out)]))
    command = [sys.executable, "-m", "bench.stitch", "--child", str(job)]
    return Run(*json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _join_here(job: Path) -> Run:
    names, out = json.loads(job.read_text())
    chunks = [Path(name) for name in names]
    before = _peak_mib()
    begin, cpu = time.perf_counter(), time.process_time()
    joined = join_chunks(chunks, Path(out))
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
    return Run(seconds, cpu_seconds, _peak_mib() - before, joined.method, joined.duration_ms)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _ffmpeg(chunks: list[Path], output: Path, expected_ms: int) -> Peer:
    inputs = [word for path in chunks for word in ("-i", str(path))]
    graph = "".join(f"[{k}:a]" for k in range(len(chunks))) + f"concat=n={len(chunks)}:v=0:a=1"
    codec = ["-c:a", "libopus", "-b:a", str(stitch_input.BITRATE), "-compression_level", str(_COMPLEXITY)]
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *inputs, "-filter_complex", graph, *codec, str(output)]
    before = _children_cpu()
    seconds = _timed(lambda: subprocess.run(command, check=True))
    cpu = _children_cpu() - before
    told = subprocess.run(["ffmpeg", "-nostdin", "-i", str(output)], check=False, capture_output=True, text=True).stderr
    hours, minutes, rest = re.search(r"Duration: (\d+):(\d+):([\d.]+)", told).groups()  # type: ignore[union-attr]
    duration = (int(hours) * 60 + int(minutes)) * 60 + float(rest)
    assert abs(duration * 1000 - expected_ms) < 100, f"ffmpeg made {duration} s"
    return Peer(seconds, cpu)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _plain_copy(chunks: list[Path], output: Path) -> None:
    md5 = hashlib.md5(usedforsecurity=False)
    with output.open("wb") as file:
        for path in chunks:
            data = path.read_bytes()
            md5.update(data)
            file.write(data)


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _spread(values: list[float]) -> str:
    """The median, with the range behind it when there is one."""
    median = f"{statistics.median(values):.3g}"
    return median if len(values) == 1 else f"{median} ({min(values):.3g}-{max(values):.3g})"


if __name__ == "__main__":
    main()
