"""The API while every core transcribes, against the same API at rest: `GET /v1/recordings` and `GET /health`, p99 under 50 ms.

`python -m bench.busy_api [--rate 50] [--seconds 10] [--rounds 3]`. The whole platform runs, with a worker for each core; each
worker has a long talk to transcribe, and must still be at it when the last request is answered. Requests come at a fixed rate
(open loop: a slow answer delays nobody else) and are timed from when they should have been sent.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import numpy as np

from bench.figures import Figures, percentile
from bench.http_load import UNLIMITED
from deploy.local.api import Api, new_project
from deploy.local.demo.speech import ogg_opus, samples_of
from deploy.local.demo.uploads import open_whole, upload_whole
from deploy.local.plan import new_plan
from deploy.local.sample_speech import reading
from deploy.local.stack import Stack
from services.transcriber.model_folders import default_folder

GOAL_P99_MS = 50.0
LISTED = 50
TALK_TIMES = 40  # of half a minute: longer than the measurement on any machine
BUSY_DEADLINE_S = 120.0
LOOK_S = 0.2
PATHS = ("/v1/recordings?limit=20", "/health")


def long_talks(api: Api, count: int) -> list[str]:
    """Have so many long recordings transcribed; return the transcriptions' ids once all are at work."""
    speech = samples_of(reading(default_folder().parent / "speech").path)
    talk = ogg_opus(np.tile(speech, TALK_TIMES))
    recordings = [open_whole(api, f"talk {number}") for number in range(count)]
    for recording in recordings:
        upload_whole(api, recording, talk)
    _await(lambda: all(api.get(f"/v1/recordings/{one['id']}")["duration_ms"] for one in recordings))
    asked = [api.post("/v1/transcriptions", {"recording_id": one["id"], "language": "en"})["id"] for one in recordings]
    _await(lambda: all(_progressing(api, one) for one in asked))
    return asked


def _progressing(api: Api, transcription_id: str) -> bool:
    shown = api.get(f"/v1/transcriptions/{transcription_id}")
    if shown["status"] not in ("pending", "processing"):
        raise RuntimeError(f"the transcription is {shown['status']}: the cores did not work all the time")
    return shown["progress"] is not None


def _await(fact: Callable[[], bool]) -> None:
    until = time.monotonic() + BUSY_DEADLINE_S
    while not fact():
        if time.monotonic() > until:
            raise TimeoutError("the platform does not come to work")
        time.sleep(LOOK_S)


class Round:
    """Milliseconds of every answer, by path."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = {path: [] for path in PATHS}

    async def at_rate(self, client: aiohttp.ClientSession, base: str, rate: float, seconds: float) -> None:
        """Ask for every path so many times a second, for so long; return when all are answered."""
        tasks: list[asyncio.Task[None]] = []
        began = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks += [asyncio.create_task(self._ask(client, base, path, due)) for path in PATHS]
        await asyncio.gather(*tasks)

    async def _ask(self, client: aiohttp.ClientSession, base: str, path: str, due: float) -> None:
        async with client.get(base + path) as answer:
            await answer.read()
            answer.raise_for_status()
        self.ms[path].append((time.perf_counter() - due) * 1000)


async def measure(stack: Stack, key: str, asked: argparse.Namespace) -> list[Round]:
    """Run the load so many times, after one short round that is thrown away."""
    rounds = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as client:
        for number in range(asked.rounds + 1):
            one = Round()
            await one.at_rate(client, stack.api_url, asked.rate, asked.seconds if number else 2.0)
            rounds.append(one)
    return rounds[1:]


def report(path: str, idle: list[Round], busy: list[Round]) -> None:
    """Print medians of the rounds with their spread, and the ratio to the API at rest."""
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        rest = Figures([percentile(one.ms[path], share) for one in idle])
        work = Figures([percentile(one.ms[path], share) for one in busy])
        goal = f" (goal under {GOAL_P99_MS:g})" if name == "p99" else ""
        print(f"  GET {path} {name}: {work:.1f} ms{goal}; at rest {rest:.1f} ms; ratio {work.median / rest.median:.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stack = Stack(new_plan(), Path(folder), extra=UNLIMITED | {"EARWITNESS_TRANSCRIBE_SLOTS": str(cores)})
        try:
            stack.start()
            _, key = new_project(stack.api_url, stack.plan.admin_token, "bench")
            api = Api(stack.api_url, key)
            for number in range(LISTED):
                open_whole(api, f"recording {number}")
            idle = asyncio.run(measure(stack, key, arguments))
            talks = long_talks(api, cores)
            busy = asyncio.run(measure(stack, key, arguments))
            for one in talks:
                _progressing(api, one)
                api.post(f"/v1/transcriptions/{one}/cancel", {})
        finally:
            stack.stop()
    print(f"the API while {cores} workers transcribe on {cores} cores, {arguments.rate:g} requests/s of each kind")
    for path in PATHS:
        report(path, idle, busy)


if __name__ == "__main__":
    main()
