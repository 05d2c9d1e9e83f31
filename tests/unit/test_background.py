"""Background tasks: restarted after errors, ended by stop, and able to end the service."""

import asyncio
import time

import pytest

from shared.background import Background, supervise


async def test_a_task_that_breaks_is_run_again_until_it_ends():
    async def work() -> None:
        runs.append(len(runs))
        if len(runs) < 4:
            raise ConnectionError

    runs: list[int] = []
    async with asyncio.timeout(5):
        await supervise(work, "relay", first_pause_s=0.001)
    assert runs == [0, 1, 2, 3]


async def test_the_pauses_between_runs_grow():
    async def work() -> None:
        moments.append(time.monotonic())
        if len(moments) < 5:
            raise ConnectionError

    moments: list[float] = []
    async with asyncio.timeout(5):
        await supervise(work, "relay", first_pause_s=0.02)
    assert moments[4] - moments[3] > moments[1] - moments[0]  # at least 0.08 s after at most 0.02 s


async def test_stop_cancels_every_task_and_waits_for_its_cleaning_up():
    async def work() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("relay")

    began = asyncio.Event()
    cleaned: list[str] = []
    background = Background()
    background.start("relay", work)
    await began.wait()
    async with asyncio.timeout(5):
        await background.stop()
    assert cleaned == ["relay"]


async def test_stop_does_not_wait_longer_than_its_grace():
    async def deaf() -> None:
        began.set()
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    began, released = asyncio.Event(), asyncio.Event()
    background = Background()
    background.start("deaf", deaf)
    await began.wait()
    async with asyncio.timeout(5):
        await background.stop(grace=0.01)
    released.set()


async def test_a_name_is_given_to_one_running_task_only():
    background = Background()
    background.start("relay", asyncio.Event().wait)
    with pytest.raises(ValueError, match="relay"):
        background.start("relay", asyncio.Event().wait)
    await background.stop()
