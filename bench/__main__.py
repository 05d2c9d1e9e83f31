"""All benchmarks, one after the other, and what came out: `python -m bench [--only NAME …] [options of that one benchmark]`.

Each runs in processes of its own and prints as it goes; the closing summary repeats every ratio and says what was not measured. A
benchmark that fails does not keep the others from running; the exit status is then 1.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

import msgspec

BENCHES = {
    "finalize": ("--rounds", "3", "--seconds", "8"),
    "chunks": (),
    "create": (),
    "list": (),
    "million": (),
    "stitch": (),
    "transcribe": ("--rounds", "3"),
    "claims": ("--rounds", "2"),
    "busy_api": ("--rounds", "2", "--seconds", "6"),
    "speech_memory": ("--minutes", "2", "6", "--piece", "30"),
    "objects": ("--rounds", "3"),
}
"""Every benchmark, with options by which all together take about half an hour on two cores."""

_TELLING = ("ratio", "efficiency", "not measured", "skipped")


class Outcome(msgspec.Struct, frozen=True):
    """How one benchmark ended, and the lines that it printed."""

    name: str
    status: int
    seconds: float
    lines: tuple[str, ...]

    def summary(self) -> list[str]:
        """Return a head, every line with a ratio, and what was not measured."""
        ending = (
            f"{self.seconds:.0f} s" if self.status == 0 else f"FAILED with exit status {self.status} after {self.seconds:.0f} s"
        )
        return [f"{self.name}: {ending}", *(f"  {line.strip()}" for line in self.lines if any(word in line for word in _TELLING))]


def run(name: str, options: Sequence[str]) -> Outcome:
    """Run one benchmark, printing what it prints."""
    print(f"\n== bench.{name} {' '.join(options)}".rstrip(), flush=True)
    began, lines = time.monotonic(), []
    command = [sys.executable, "-u", "-m", f"bench.{name}", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return Outcome(name, process.returncode, time.monotonic() - began, tuple(lines))


def main() -> int:
    """Run the benchmarks asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, each figure as a ratio to its peer.")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=list(BENCHES), metavar="NAME", help=", ".join(BENCHES))
    arguments, options = parser.parse_known_args()
    if options and len(arguments.only) > 1:
        parser.error(f"{' '.join(options)}: options go to one benchmark, name it with --only")
    outcomes = [run(name, options or BENCHES[name]) for name in arguments.only]
    print("\n== summary")
    print("\n".join(line for outcome in outcomes for line in outcome.summary()))
    return int(any(outcome.status for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
