"""`make demo`: everything set up, shown at work on real speech, and stopped again."""

import argparse
import secrets
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

from rich.console import Console

from deploy.local.api import Api, ApiRefused, new_project
from deploy.local.chores import SAMPLES, ChoreFailed, samples_chore
from deploy.local.demo.board import Board
from deploy.local.demo.receiver import Receiver
from deploy.local.demo.speech import samples_of
from deploy.local.demo.story import DemoFailed, Speech, play, print_transcript, speech_of
from deploy.local.plan import Broker, Store, new_plan
from deploy.local.sample_speech import conversation, reading
from deploy.local.servers.server import ServerDidNotStart, ServerUnavailable
from deploy.local.stack import Stack
from deploy.local.state import FOLDER
from deploy.local.stopping import as_interrupt

_SETTINGS = {"EARWITNESS_SHUTDOWN_GRACE_S": "5"}  # who presses Ctrl-C does not want to wait for a transcription
_FAILURES = (ServerUnavailable, ServerDidNotStart, ChoreFailed, ApiRefused, DemoFailed, OSError)


def start(stack: Stack, folder: Path, board: Board) -> Speech:
    """Start everything, fetching what is missing; return the speech to upload."""
    samples = samples_chore(folder)

    def prepared() -> Speech:
        samples()
        return speech_of(samples_of(reading(SAMPLES).path), samples_of(conversation(SAMPLES).path))

    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            speech = pool.submit(prepared)
            stack.start_servers()
            board.say(f"[bold]{', '.join(server.name for server in stack.servers)}[/] answer")
            stack.start_services()
            board.say(f"[bold]{', '.join(stack.services)}[/] are ready, the speech model is loaded")
            return speech.result()
        except BaseException:
            samples.cancel()
            raise


def run(stack: Stack, folder: Path, console: Console) -> None:
    """Play the demo; raises when something does not come out as promised."""
    with Board(console) as board, Receiver(board.delivered) as receiver:
        speech = start(stack, folder, board)
        project_id, key = new_project(stack.api_url, stack.plan.admin_token, "demo")
        board.say(f"organization, project {project_id} and API key created; API at {stack.api_url}")
        api = Api(stack.api_url, key)
        recordings = play(api, project_id, receiver, board, speech)
    for recording_id in recordings:
        print_transcript(api, recording_id, console)


def main() -> int:
    """Run `make demo`; nothing of it is left running, however it ends."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.demo", description=__doc__)
    parser.add_argument("--broker", choices=get_args(Broker), default="memory")
    parser.add_argument("--s3", choices=get_args(Store), default="seaweedfs")
    given = parser.parse_args()
    console, began = Console(soft_wrap=True), time.monotonic()
    folder = FOLDER / f"demo-{secrets.token_hex(4)}"
    stack = Stack(new_plan(given.broker, given.s3), folder, extra=_SETTINGS)
    try:
        with as_interrupt():
            try:
                folder.mkdir(mode=0o700, parents=True)
                run(stack, folder, console)
            finally:
                stack.finish()
    except KeyboardInterrupt:
        console.print("\nstopped; nothing is left running")
        shutil.rmtree(folder, ignore_errors=True)
        return 130
    except _FAILURES as failure:
        console.print(f"\n[red]the demo failed:[/] {failure}", highlight=False)
        if isinstance(failure, ServerUnavailable):  # nothing ran: there is nothing to look at
            shutil.rmtree(folder, ignore_errors=True)
        else:
            console.print(f"logs: {folder}", highlight=False)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    console.print(f"\neverything stopped; {time.monotonic() - began:.1f} s in all", highlight=False)
    return 0
