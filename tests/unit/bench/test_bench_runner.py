"""`make bench` runs every benchmark there is and repeats what matters."""

import subprocess
import sys
from pathlib import Path

from bench.__main__ import BENCHES, Outcome

ROOT = Path(__file__).parents[3]


def test_every_benchmark_is_run():
    programs = [
        path.stem for path in (ROOT / "bench").glob("*.py") if "argparse.ArgumentParser" in path.read_text(encoding="utf-8")
    ]
    assert sorted(BENCHES) == sorted(name for name in programs if name != "__main__")


def test_the_summary_has_every_ratio_and_says_what_failed():
    lines = ("chunk PUTs per second\n", "  bare handler: 900/s\n", "  API: 700/s; ratio 0.78 (goal 0.5)\n")
    assert Outcome("chunks", 0, 12.4, lines).summary() == ["chunks: 12 s", "  API: 700/s; ratio 0.78 (goal 0.5)"]
    assert Outcome("stitch", 2, 3.0, ()).summary() == ["stitch: FAILED with exit status 2 after 3 s"]


def test_options_go_to_one_benchmark_only():
    command = [sys.executable, "-m", "bench", "--only", "chunks", "objects", "--rounds", "1"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--only" in refused.stderr
