"""One run of `bench.claims`: so many worker processes on a queue of so many jobs, and what that took."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
from pymongo import MongoClient

from bench import peers
from bench.claims_worker import DATABASE, Account, Order, fill
from bench.cpu_groups import CpuGroup, cpu_groups, idle_s
from deploy.local.chores import ROOT
from deploy.local.servers.mongo import MongoServer
from shared.settings import MongoSettings

DEADLINE_S = 300.0
PROJECTS = 20
LOOK_S = 0.05
_STATEMENTS = ("find", "aggregate", "update", "insert", "findAndModify")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Workers of a kind on a queue of `jobs` that take `work_ms` each, until `until` of them are done.

    `share`: what of a core each worker process is held to; None: nothing is capped.
    """

    kind: str
    workers: int
    jobs: int
    until: int
    work_ms: float = 0.0
    share: float | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs a second, the least and most that one worker did; a job's CPU here and in mongod, its statements, and claims lost.

    `here` and `mongod` are how many cores the workers and mongod used, `idle` how many the machine had left. `allowed` is what
    the workers were held to, 0 if they were not, and `held` in which share of the kernel's periods they had used it up.
    """

    rate: float
    least: int
    most: int
    cpu_ms: float
    mongod_ms: float
    statements: float
    lost: float
    here: float
    mongod: float
    idle: float
    allowed: float = 0.0
    held: float = 0.0


class Used(msgspec.Struct, frozen=True):
    """Seconds, and in them: seconds of CPU in mongod, idle ones of all cores, and statements that mongod answered."""

    elapsed_s: float
    mongod_s: float
    idle_s: float
    statements: int


def measure(server: MongoServer, load: Load) -> Run:
    """Let the workers do the jobs, and see that each was done once. Raises `NoCpuGroups` where none can be held to a share."""
    settings = MongoSettings(mongo_url=server.url, mongo_database=f"{DATABASE}_{load.kind}")
    fill(settings, load.jobs, PROJECTS)
    order = Order(server.url, settings.mongo_database, load.kind, load.work_ms)
    with _groups(load) as groups, _workers(order, load.workers) as processes:
        for group, process in zip(groups, processes, strict=False):
            group.hold(process.pid)
        before = _used(server)
        _say(processes, b"go\n")
        done, looks = _await_done(settings, load)
        after = _used(server)
        held = [group.held_back() for group in groups]
        _say(processes, b"stop\n")
        accounts = [msgspec.json.decode(process.communicate(timeout=DEADLINE_S)[0], type=Account) for process in processes]
    _assert_each_once(settings, sum(account.done for account in accounts))
    spent = Used(*(now - then for now, then in zip(msgspec.structs.astuple(after), msgspec.structs.astuple(before), strict=True)))
    spent = msgspec.structs.replace(spent, statements=spent.statements - looks)
    run = _run(accounts, done, spent)
    return msgspec.structs.replace(run, allowed=load.workers * (load.share or 0.0), held=sum(held) / max(1, len(held)))


def _run(accounts: Sequence[Account], done: int, spent: Used) -> Run:
    of_each, cpu_s = [account.done for account in accounts], sum(account.cpu_s for account in accounts)
    return Run(
        rate=done / spent.elapsed_s,
        least=min(of_each),
        most=max(of_each),
        cpu_ms=cpu_s / sum(of_each) * 1000,
        mongod_ms=spent.mongod_s / done * 1000,
        statements=spent.statements / done,
        lost=sum(account.lost for account in accounts) / sum(of_each),
        here=cpu_s / sum(of_each) * done / spent.elapsed_s,
        mongod=spent.mongod_s / spent.elapsed_s,
        idle=spent.idle_s / spent.elapsed_s,
    )


@contextmanager
def _groups(load: Load) -> Iterator[Sequence[CpuGroup]]:
    if load.share is None:
        yield ()
    else:
        with cpu_groups(load.workers, load.share) as groups:
            yield groups


@contextmanager
def _workers(order: Order, number: int) -> Iterator[Sequence["subprocess.Popen[bytes]"]]:
    """Start processes and wait until each has loaded what it needs; none is left behind."""
    command = [sys.executable, "-m", "bench.claims_worker", msgspec.json.encode(order).decode()]
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    with ExitStack() as ends:
        processes = []
        for _ in range(number):
            processes.append(subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=nothing))
            ends.callback(_end, processes[-1])
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        yield processes


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _say(processes: Sequence["subprocess.Popen[bytes]"], line: bytes) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(line)
        process.stdin.flush()


def _used(server: MongoServer) -> Used:
    assert server.child.pid is not None
    with MongoClient[dict[str, Any]](server.url) as client:
        commands = client.admin.command("serverStatus")["metrics"]["commands"]
    statements = sum(int(commands[name]["total"]) for name in _STATEMENTS)
    return Used(time.perf_counter(), peers.cpu_s(server.child.pid), idle_s(), statements)


def _await_done(settings: MongoSettings, load: Load) -> tuple[int, int]:
    """Return how many jobs are done, once so many are as the load says, and how many statements it took to see that."""
    deadline, left, looks = time.perf_counter() + DEADLINE_S, load.jobs - load.until, 2
    with MongoClient[dict[str, object]](settings.mongo_url) as client:
        collection = client[settings.mongo_database]["transcriptions"]
        while collection.count_documents({"active": True}, limit=left + 1, hint="one_active") > left:
            assert time.perf_counter() < deadline, "the jobs do not end"
            time.sleep(LOOK_S)
            looks += 1
        return collection.count_documents({"active": False}), looks


def _assert_each_once(settings: MongoSettings, done: int) -> None:
    """One claim of each job that was done, and for the workers one text."""
    with MongoClient[dict[str, dict[str, int]]](settings.mongo_url) as client:
        database = client[settings.mongo_database]
        tokens = Counter(found["job"]["token"] for found in database["transcriptions"].find({"active": False}, {"job.token": 1}))
        texts = database["transcripts"].count_documents({})
    assert tokens == {1: done}, (tokens, done)
    assert texts in (0, done), (texts, done)
