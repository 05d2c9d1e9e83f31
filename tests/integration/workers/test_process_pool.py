"""The worker pool, with real processes that are really killed."""

import asyncio
import contextlib
import functools
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from shared.domain.errors import FailureReason, PermanentFailure, TransientFailure
from shared.workers import PoolStopped, ProcessPool, WorkerDied, WorkerFailed, WorkerOptions, WorkerTimedOut
from shared.workers.failures import NoRoom
from tests.integration.workers.worker_jobs import Act, Sum, initialize, initialize_never, initialize_once

DEADLINE_S = 60


async def eventually(fact):
    async with asyncio.timeout(DEADLINE_S):
        while not fact():
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    """A zombie does not run: it only waits for somebody to read its exit code."""
    stat = Path(f"/proc/{pid}/stat")
    if sys.platform == "linux":
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@contextlib.asynccontextmanager
async def pool_of(size=1, start=initialize, **options):
    pool = ProcessPool(start, size=size, options=WorkerOptions(**options))
    await pool.start()
    try:
        yield pool
    finally:
        await pool.stop()
        assert pool.warm == 0


class Begun:
    """A job that runs until it is stopped, seen to have begun."""

    def __init__(self, pool, what="hang"):
        self.reported = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(pool.run(Act(what), on_progress=self.reported.set_result))

    async def pid(self) -> int:
        async with asyncio.timeout(DEADLINE_S):
            return await self.reported


async def test_a_job_returns_its_result_and_reports_its_progress_in_order():
    async with pool_of() as pool:
        seen = []
        assert await pool.run(Sum((1, 2, 3)), on_progress=seen.append) == 6
        assert seen == [1, 3, 6]
        assert await pool.run(Sum((4,))) == 4


async def test_a_worker_is_given_no_setting_of_the_service(monkeypatch):
    monkeypatch.setenv("EARWITNESS_S3_SECRET_KEY", "not for a decoder")
    monkeypatch.setenv("EARWITNESS_ADMIN_TOKEN_FILE", "/run/secrets/admin")
    monkeypatch.setenv("HARMLESS", "yes")
    async with pool_of() as pool:
        variables = (await pool.run(Act("describe")))["variables"]
    assert [name for name in variables if name.startswith("EARWITNESS_")] == []
    assert {"HARMLESS", "PATH"} <= set(variables)


async def test_a_worker_s_libraries_are_told_to_report_to_nobody(monkeypatch):
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    async with pool_of() as pool:
        assert (await pool.run(Act("describe")))["telemetry"] == ["1", "1", "1"]


async def test_initialize_runs_once_in_each_process_and_jobs_run_at_the_same_time():
    async with pool_of(2) as pool:
        first, second = Begun(pool), Begun(pool)
        assert {await first.pid(), await second.pid()} == set(pool.pids)
        assert pool.busy == 2
        for begun in (first, second):
            begun.task.cancel()
    async with pool_of(1) as pool:
        described = [await pool.run(Act("describe")) for _ in range(2)]
        assert described[0] == described[1]


async def test_a_large_job_travels_both_ways():
    async with pool_of() as pool:
        numbers = tuple(range(300_000))
        assert await pool.run(Sum(numbers)) == sum(numbers)


async def test_a_killed_process_fails_its_job_and_is_replaced():
    async with pool_of() as pool:
        begun = Begun(pool)
        os.kill(await begun.pid(), signal.SIGKILL)
        with pytest.raises(WorkerDied) as died:
            await begun.task
        assert died.value.exit_code == -signal.SIGKILL
        assert isinstance(died.value, TransientFailure)
        assert await pool.run(Sum((2, 2))) == 4


async def test_a_fault_in_native_code_is_told_by_its_signal():
    async with pool_of() as pool:
        with pytest.raises(WorkerDied) as died:
            await pool.run(Act("fault"))
        assert died.value.exit_code == -signal.SIGSEGV


async def test_a_process_killed_while_idle_is_replaced_before_anybody_needs_it():
    async with pool_of() as pool:
        (pid,) = pool.pids
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: pool.warm == 1 and pid not in pool.pids)
        assert await pool.run(Sum((1,))) == 1


@pytest.mark.parametrize("what", ["hang", "hang in native code"])
async def test_cancelling_a_job_kills_its_process_and_frees_the_slot(what):
    async with pool_of() as pool:
        begun = Begun(pool, what)
        pid = await begun.pid()
        begun.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun.task
        await eventually(lambda: not is_running(pid))
        assert await pool.run(Sum((5,))) == 5


async def test_a_job_cancelled_while_it_waits_kills_nothing():
    async with pool_of() as pool:
        begun = Begun(pool)
        pid = await begun.pid()
        waiting = asyncio.create_task(pool.run(Sum((1,))))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pool.pids == (pid,)
        begun.task.cancel()


async def test_a_job_past_its_time_limit_is_killed():
    async with pool_of() as pool:
        (pid,) = pool.pids
        with pytest.raises(WorkerTimedOut):
            await pool.run(Act("hang"), time_limit_s=0.2)
        await eventually(lambda: not is_running(pid))
        assert await pool.run(Sum((5,)), time_limit_s=DEADLINE_S) == 5


async def test_failures_of_the_work_come_through_and_leave_the_process_alive():
    async with pool_of() as pool:
        pids = pool.pids
        with pytest.raises(PermanentFailure) as permanent:
            await pool.run(Act("reject"))
        assert (permanent.value.reason, permanent.value.message, permanent.value.chunk_number) == (
            FailureReason.CHUNK_CORRUPT,
            "no frame decodes",
            7,
        )
        with pytest.raises(TransientFailure, match="the disk is full") as transient:
            await pool.run(Act("wait for better times"))
        assert type(transient.value) is TransientFailure
        with pytest.raises(NoRoom, match="No space left"):
            await pool.run(Act("fill the disk"))
        with pytest.raises(WorkerFailed, match="ZeroDivisionError: of the work") as defect:
            await pool.run(Act("stumble"))
        assert "_stumble" in defect.value.remote_traceback
        assert pool.pids == pids


async def test_what_cannot_be_pickled_fails_its_own_job_only():
    async with pool_of() as pool:
        pids = pool.pids
        with pytest.raises(TypeError):
            await pool.run(threading.Lock())
        with pytest.raises(WorkerFailed, match="pickle"):
            await pool.run(Act("return a thread"))
        assert await pool.run(Sum((3,))) == 3
        assert pool.pids == pids


async def test_a_failing_progress_callback_fails_the_job():
    def refuse(_):
        raise LookupError("nobody listens")

    async with pool_of() as pool:
        with pytest.raises(LookupError, match="nobody listens"):
            await pool.run(Sum((1,)), on_progress=refuse)
        assert await pool.run(Sum((3,))) == 3


async def test_terminal_signals_and_prints_do_not_disturb_a_worker():
    async with pool_of() as pool:
        assert await pool.run(Act("survive signals")) == "survived"
        assert os.getsid(pool.pids[0]) != os.getsid(0)


async def test_a_worker_is_nice_and_bounded_in_threads():
    async with pool_of(nice=3, threads=2) as pool:
        described = await pool.run(Act("describe"))
    assert described["nice"] == min(os.nice(0) + 3, 19)
    assert described["session"] in ("3", None)  # where Linux shares the cores among sessions, niceness in one alone is no use
    assert described["omp"] == "2"


async def test_the_event_loop_stays_free_while_a_job_runs():
    async with pool_of() as pool:
        begun = Begun(pool, "hang in native code")
        await begun.pid()
        started = time.monotonic()
        for _ in range(100):
            await asyncio.sleep(0)
        assert time.monotonic() - started < 1
        begun.task.cancel()


async def test_a_pool_that_cannot_start_says_why_and_leaves_no_process():
    pool = ProcessPool(initialize_never, size=2)
    with pytest.raises(TransientFailure, match="no model here"):
        await pool.start()
    assert pool.warm == 0


async def test_a_replacement_that_does_not_start_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr("shared.workers.process_pool.RESTART_DELAYS_S", (0.0, 0.01))
    marker = tmp_path / "started"
    async with pool_of(start=functools.partial(initialize_once, marker)) as pool:
        os.kill(pool.pids[0], signal.SIGKILL)
        await eventually(lambda: pool.warm == 0)
        job = asyncio.create_task(pool.run(Sum((1, 1))))
        marker.unlink()
        async with asyncio.timeout(DEADLINE_S):
            assert await job == 2


async def test_a_stop_lets_running_jobs_finish_within_the_grace_time(tmp_path):
    release = tmp_path / "release"
    async with pool_of() as pool:
        begun = asyncio.get_running_loop().create_future()
        job = asyncio.create_task(pool.run(Act("finish slowly", release), on_progress=begun.set_result))
        waiting = asyncio.create_task(pool.run(Sum((1,))))
        await begun
        stopping = asyncio.create_task(pool.stop(DEADLINE_S))
        with pytest.raises(PoolStopped):
            await waiting
        with pytest.raises(PoolStopped):
            await pool.run(Sum((1,)))
        release.touch()
        await stopping
        assert await job == "finished"


async def test_a_stop_kills_what_outlasts_the_grace_time():
    async with pool_of() as pool:
        begun = Begun(pool)
        pid = await begun.pid()
        await pool.stop(0.05)
        assert not is_running(pid)
        with pytest.raises(PoolStopped):
            await begun.task


PARENT = """
import asyncio, socket, sys, uvloop
from tests.integration.workers.worker_jobs import Act, initialize
from shared.workers import ProcessPool

async def main():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.set_inheritable(True)
        pool = ProcessPool(initialize, size=2)
        await pool.start()
        print((await pool.run(Act("describe")))["listening"])
        await pool.run(Act(sys.argv[2]), on_progress=lambda _: print(*pool.pids, flush=True))

if __name__ == "__main__":
    (uvloop if sys.argv[1] == "uvloop" else asyncio).run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("what", ["hang", "hang in native code"])
async def test_workers_hold_no_listening_socket_and_do_not_outlive_a_parent_that_is_killed(loop, what):
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, loop, what, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(DEADLINE_S):
        assert await parent.stdout.readline() == b"[]\n"
        pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    assert all(is_running(pid) for pid in pids)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not any(is_running(pid) for pid in pids))
