"""One to four workers on a queue of 2,000 instant jobs, against bare loops of find_one_and_update on the same server, in turns.

`python -m bench.claims [--rounds 3] [--jobs 2000] [--share 0.1] [--workers 1 2 3 4] [--work-ms 0 100]`. A worker is a process
with what a transcriber has around its engine: the runner, the leases over a real MongoDB, the limits of projects, the stored
text and the relay of events; the engine answers after `--work-ms` milliseconds. Its peer claims with one find_one_and_update,
waits as long and writes the end with another statement, as durably. Efficiency is the rate of n workers over n times the rate
of one. No broker runs here and none takes part in claiming, so partitions are no bound.

Two efficiencies, which answer different questions:

- at equal capacity, every worker process is held to the same share of a core (`cpu_groups.py`), so small that four of them and
  mongod leave some of the machine idle. n workers are then n times the capacity, and what they fall short of n times the rate is
  what the queue costs. Fewer than the most are given their part of the jobs. Who used the cores is printed beside it: workers
  that did not use what they are allowed tell that something else was the limit, such as a machine with nothing left.
- by the wall clock, nothing is capped, and workers that do nothing but work come to the end of the CPU before they come to that
  of any queue: on two cores, of which mongod has its part, the bare loops do as well. Jobs that wait as an engine computes
  (a tenth as many) show how the queue scales where there is CPU left.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.claims_run import Load, Run, measure
from bench.cpu_groups import NoCpuGroups
from bench.figures import Figures
from deploy.local.servers.mongo import MongoServer

GOAL = 0.9
KINDS = ("bare", "worker")
LONG_JOBS_SHARE = 10

Round = dict[tuple[str, int], Run]
"""Runs by kind and number of workers."""


def equal_loads(jobs: int, numbers: Sequence[int], share: float) -> Iterator[Load]:
    """Yield the loads of one round at equal capacity, the peer's and ours in turns; the most workers empty the queue."""
    for workers in numbers:
        for kind in KINDS:
            yield Load(kind=kind, workers=workers, jobs=jobs, until=jobs * workers // max(numbers), share=share)


def wall_loads(jobs: int, numbers: Sequence[int], work_ms: float) -> Iterator[Load]:
    """Yield the loads of one round by the wall clock, the peer's and ours in turns."""
    jobs //= LONG_JOBS_SHARE if work_ms else 1
    for workers in numbers:
        for kind in KINDS:
            yield Load(kind=kind, workers=workers, jobs=jobs, until=jobs, work_ms=work_ms)


def report(about: str, numbers: Sequence[int], rounds: Sequence[Round]) -> None:
    """Print what each number of workers did, and the efficiencies: medians of the rounds with their spread."""
    for workers in numbers:
        for kind in KINDS:
            print(f"{about}: {workers} {kind}: {_described([each[kind, workers] for each in rounds])}")
        ours, bare = (Figures([efficiency(each, kind, workers, min(numbers)) for each in rounds]) for kind in ("worker", "bare"))
        dearer = Figures([each["worker", workers].cpu_ms / each["worker", min(numbers)].cpu_ms for each in rounds])
        print(
            f"{about}: {workers} workers: efficiency {ours:.2f} (goal {GOAL}), bare loops {bare:.2f}, "
            f"ratio {ours.median / bare.median:.2f}; a job takes a worker {dearer:.2f} of the CPU that it takes the fewest",
            flush=True,
        )


def efficiency(of: Round, kind: str, workers: int, fewest: int) -> float:
    """Return the rate of a worker among so many over that of one among the fewest, of one round."""
    return of[kind, workers].rate / workers / (of[kind, fewest].rate / fewest)


def _described(runs: Sequence[Run]) -> str:
    def figures(name: str) -> Figures:
        return Figures([getattr(run, name) for run in runs])

    cores = os.cpu_count() or 1
    others = Figures([max(0.0, cores - run.here - run.mongod - run.idle) for run in runs])
    of, held = "", ""
    if allowed := runs[0].allowed:
        of, held = f" of {allowed:.2f} allowed", f"; held back in {figures('held').median:.0%} of the periods"
    return (
        f"{figures('rate'):.0f} jobs/s, each did {min(run.least for run in runs)} to {max(run.most for run in runs)}; "
        f"a job: {figures('cpu_ms'):.1f} ms of CPU and {figures('mongod_ms'):.1f} in mongod, "
        f"{figures('statements'):.1f} statements, {figures('lost'):.2f} claims lost; of {cores} cores: workers "
        f"{figures('here').median:.2f}{of}, mongod {figures('mongod').median:.2f}, others {others.median:.2f}, "
        f"idle {figures('idle').median:.2f}{held}"
    )


def main() -> None:
    """Measure on a MongoDB of our own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.1, help="of a core, for each worker at equal capacity")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--work-ms", type=float, nargs="*", default=[0.0, 100.0], help="by the wall clock; none: only the other")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends as Ctrl-C does, and leaves nothing behind
    comparisons = [
        (f"claims at equal capacity, {asked.share:.0%} of a core each", equal_loads(asked.jobs, asked.workers, asked.share))
    ]
    for work_ms in asked.work_ms:
        about = f"claims by the wall clock, nothing capped, {work_ms:g} ms of work"
        comparisons.append((about, wall_loads(asked.jobs, asked.workers, work_ms)))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server = MongoServer(Path(folder))
        server.start()
        try:
            for about, loads in comparisons:
                _compare(server, about, list(loads), asked.rounds)
        finally:
            server.kill()


def _compare(server: MongoServer, about: str, loads: Sequence[Load], rounds: int) -> None:
    try:
        done = [{(load.kind, load.workers): measure(server, load) for load in loads} for _ in range(rounds)]
    except NoCpuGroups as reason:
        print(f"{about}: not measured: {reason}", flush=True)
        return
    report(about, sorted({load.workers for load in loads}), done)


if __name__ == "__main__":
    main()
