"""One to four workers on a queue of instant jobs, against bare loops of find_one_and_update on the same server, in turns.

`python -m bench.claims [--jobs 2000] [--workers 1 2 4] [--work-ms 0 100]`. A worker is a process with what a transcriber has
around its engine: the runner, the leases over a real MongoDB, the limits of projects, the stored text and the relay of events;
the engine answers after `--work-ms` milliseconds. Its peer claims with one find_one_and_update, waits as long and writes the end
with another statement, as durably. Efficiency is the rate of n workers over n times the rate of one; no broker takes part in
claiming, so partitions are no bound. On two cores, of which mongod has its share, workers whose jobs cost nothing come to the
end of the CPU before they come to that of the queue: the peer says where that is, and a tenth of the jobs, each with time
to wait but nothing to compute, how the queue itself scales.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec
from pymongo import MongoClient

from bench.claims_worker import DATABASE, Account, Order, fill
from deploy.local.chores import ROOT
from deploy.local.servers.mongo import MongoServer
from shared.settings import MongoSettings

GOAL = 0.9
DEADLINE_S = 300.0
PROJECTS = 20


class Run(msgspec.Struct, frozen=True):
    """How many jobs a second were done, the least and most that one worker did, and a job's CPU time beside mongod's."""

    rate: float
    least: int
    most: int
    cpu_ms: float


def measure(url: str, kind: str, workers: int, jobs: int, work_ms: float) -> Run:
    """Let so many processes do so many jobs; every job is done once or this raises."""
    database = f"{DATABASE}_{kind}"
    fill(MongoSettings(mongo_url=url, mongo_database=database), jobs, PROJECTS)
    order = msgspec.json.encode(Order(url=url, database=database, kind=kind, work_ms=work_ms)).decode()
    command = [sys.executable, "-m", "bench.claims_worker", order]
    processes = [subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(workers)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        began = time.perf_counter()
        for process in processes:
            _say(process, b"go\n")
        elapsed_s = _await_end(url, database, began)
        for process in processes:
            _say(process, b"stop\n")
        accounts = [msgspec.json.decode(process.communicate(timeout=DEADLINE_S)[0], type=Account) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    done = [account.done for account in accounts]
    assert sum(done) == jobs, (done, jobs)
    _assert_each_once(url, database, jobs)
    return Run(jobs / elapsed_s, min(done), max(done), sum(account.cpu_s for account in accounts) / jobs * 1000)


def _say(process: "subprocess.Popen[bytes]", line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _await_end(url: str, database: str, began: float) -> float:
    with MongoClient[dict[str, object]](url) as client:
        collection = client[database]["transcriptions"]
        while collection.count_documents({"active": True}, limit=1):
            assert time.perf_counter() - began < DEADLINE_S, "the jobs do not end"
            time.sleep(0.02)
        return time.perf_counter() - began


def _assert_each_once(url: str, database: str, jobs: int) -> None:
    """One claim of each job, and for the workers one text."""
    with MongoClient[dict[str, dict[str, int]]](url) as client:
        tokens = Counter(found["job"]["token"] for found in client[database]["transcriptions"].find({}, {"job.token": 1}))
        texts = client[database]["transcripts"].count_documents({})
    assert tokens == {1: jobs}, tokens
    assert texts in (0, jobs), texts


def compare(url: str, numbers: list[int], jobs: int, work_ms: float) -> None:
    """Print the rates and the efficiency of workers and of their peer."""
    single: dict[str, float] = {}
    for workers in numbers:
        efficiency = {}
        for kind in ("bare", "worker"):
            run = measure(url, kind, workers, jobs, work_ms)
            single.setdefault(kind, run.rate / workers)
            efficiency[kind] = run.rate / workers / single[kind]
            print(
                f"claims, {work_ms:g} ms of work: {workers} {kind}: {run.rate:.0f} jobs/s, each did {run.least} to {run.most}, "
                f"{run.cpu_ms:.1f} ms of CPU a job beside mongod's"
            )
        ratio = efficiency["worker"] / efficiency["bare"]
        print(
            f"claims, {work_ms:g} ms of work: {workers} workers: efficiency {efficiency['worker']:.2f} (goal {GOAL}), "
            f"bare {efficiency['bare']:.2f}, ratio {ratio:.2f}",
            flush=True,
        )


def main() -> None:
    """Measure on a MongoDB of our own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--work-ms", type=float, nargs="+", default=[0.0, 100.0])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server = MongoServer(Path(folder))
        server.start()
        try:
            for work_ms in asked.work_ms:
                compare(server.url, asked.workers, asked.jobs if not work_ms else asked.jobs // 10, work_ms)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
