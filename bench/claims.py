"""One to four workers on a queue of instant jobs, against bare loops of find_one_and_update on the same server, in turns.

`python -m bench.claims [--jobs 2000] [--workers 1 2 4] [--work-ms 0 20 100]`. A worker is a process with what a transcriber has
around its engine: the runner, the leases over a real MongoDB, the limits of projects, the stored text and the relay of events;
the engine answers after `--work-ms` milliseconds. Its peer claims with one find_one_and_update, waits as long and writes the end
with another statement, as durably. Efficiency is the rate of n workers over n times the rate of one; no broker takes part in
claiming, so partitions are no bound.

On two cores, of which mongod has its share, processes that do nothing but work come to the end of the CPU before they come to
that of any queue. What the queue itself costs is therefore shown by two more figures: the rate of as many workers each of which
has a queue of its own, at the same CPU for all, and the claims that were lost to a faster worker, a job. Jobs that wait as an
engine computes (a tenth as many) show how the queue scales where there is CPU left.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from pymongo import MongoClient

from bench.claims_worker import DATABASE, Account, Order, fill
from bench.peers import cpu_s
from deploy.local.chores import ROOT
from deploy.local.servers.mongo import MongoServer
from shared.settings import MongoSettings

GOAL = 0.9
DEADLINE_S = 300.0
PROJECTS = 20
LOOK_S = 0.02
KINDS = ("bare", "worker", "apart")
LONG_JOBS_SHARE = 10


class Run(msgspec.Struct, frozen=True):
    """Jobs a second, the least and most that one worker did; a job's CPU here and in mongod, its statements, and claims lost."""

    rate: float
    least: int
    most: int
    cpu_ms: float
    mongod_ms: float
    statements: float
    lost: float


def measure(server: MongoServer, kind: str, workers: int, jobs: int, work_ms: float) -> Run:
    """Let so many processes do so many jobs, `apart` each its share of them in a queue of its own; every job is done once."""
    databases = [f"{DATABASE}_{kind}_{number}" for number in range(workers if kind == "apart" else 1)]
    jobs -= jobs % len(databases)
    for database in databases:
        fill(MongoSettings(mongo_url=server.url, mongo_database=database), jobs // len(databases), PROJECTS)
    processes = [_start(Order(server.url, databases[number % len(databases)], kind, work_ms)) for number in range(workers)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        began, cpu_began_s, asked = time.perf_counter(), _cpu_of(server), _statements(server)
        for process in processes:
            _say(process, b"go\n")
        for database in databases:
            _await_end(server.url, database, began)
        elapsed_s, mongod_s = time.perf_counter() - began, _cpu_of(server) - cpu_began_s
        asked = _statements(server) - asked
        for process in processes:
            _say(process, b"stop\n")
        accounts = [msgspec.json.decode(process.communicate(timeout=DEADLINE_S)[0], type=Account) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    for database in databases:
        _assert_each_once(server.url, database, jobs // len(databases))
    return _run(accounts, jobs, elapsed_s, (mongod_s * 1000, asked))


def _run(accounts: list[Account], jobs: int, elapsed_s: float, of_server: tuple[float, int]) -> Run:
    done = [account.done for account in accounts]
    assert sum(done) == jobs, (done, jobs)
    here_s, lost = sum(account.cpu_s for account in accounts), sum(account.lost for account in accounts)
    mongod_ms, statements = of_server
    return Run(
        rate=jobs / elapsed_s,
        least=min(done),
        most=max(done),
        cpu_ms=here_s / jobs * 1000,
        mongod_ms=mongod_ms / jobs,
        statements=statements / jobs,
        lost=lost / jobs,
    )


def _statements(server: MongoServer) -> int:
    """Count what mongod was asked so far, but for the looks of this process."""
    with MongoClient[dict[str, Any]](server.url) as client:
        commands = client.admin.command("serverStatus")["metrics"]["commands"]
    return sum(int(commands[name]["total"]) for name in ("find", "update", "insert", "findAndModify"))


def _start(order: Order) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "bench.claims_worker", msgspec.json.encode(order).decode()]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _cpu_of(server: MongoServer) -> float:
    assert server.child.pid is not None
    return cpu_s(server.child.pid)


def _say(process: "subprocess.Popen[bytes]", line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _await_end(url: str, database: str, began: float) -> None:
    with MongoClient[dict[str, object]](url) as client:
        collection = client[database]["transcriptions"]
        while collection.count_documents({"active": True}, limit=1, hint="one_active"):
            assert time.perf_counter() - began < DEADLINE_S, "the jobs do not end"
            time.sleep(LOOK_S)


def _assert_each_once(url: str, database: str, jobs: int) -> None:
    """One claim of each job, and for the workers one text."""
    with MongoClient[dict[str, dict[str, int]]](url) as client:
        tokens = Counter(found["job"]["token"] for found in client[database]["transcriptions"].find({}, {"job.token": 1}))
        texts = client[database]["transcripts"].count_documents({})
    assert tokens == {1: jobs}, tokens
    assert texts in (0, jobs), texts


def compare(server: MongoServer, numbers: list[int], jobs: int, work_ms: float) -> None:
    """Print the rates and the efficiency of workers and of their peer."""
    single: dict[str, float] = {}
    about = f"claims, {work_ms:g} ms of work"
    for workers in numbers:
        runs = {kind: measure(server, kind, workers, jobs, work_ms) for kind in KINDS}
        for kind, run in runs.items():
            single.setdefault(kind, run.rate / workers)
            print(
                f"{about}: {workers} {kind}: {run.rate:.0f} jobs/s, each did {run.least} to {run.most}, "
                f"{run.cpu_ms:.1f} ms of CPU a job and {run.mongod_ms:.1f} in mongod, {run.statements:.1f} statements, "
                f"{run.lost:.2f} claims lost a job"
            )
        efficiency = {kind: run.rate / workers / single[kind] for kind, run in runs.items()}
        ratio = efficiency["worker"] / efficiency["bare"]
        print(
            f"{about}: {workers} workers: efficiency {efficiency['worker']:.2f} (goal {GOAL}), bare {efficiency['bare']:.2f}, "
            f"ratio {ratio:.2f}; {runs['worker'].rate / runs['apart'].rate:.2f} of the rate of as many queues",
            flush=True,
        )


def main() -> None:
    """Measure on a MongoDB of our own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--work-ms", type=float, nargs="+", default=[0.0, 20.0, 100.0])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server = MongoServer(Path(folder))
        server.start()
        try:
            for work_ms in asked.work_ms:
                compare(server, asked.workers, asked.jobs // (LONG_JOBS_SHARE if work_ms else 1), work_ms)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
