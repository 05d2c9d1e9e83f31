"""Find every process that a command started, however it detached itself: they share a mark in their environment."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path

MARK = "EARWITNESS_TESTS_MARK"


def new_mark() -> dict[str, str]:
    """Return a variable to start a command with."""
    return {MARK: secrets.token_hex(16)}


def marked(mark: dict[str, str]) -> list[str]:
    """Return the command lines of the processes that carry the mark."""
    wanted = f"{MARK}={mark[MARK]}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def eventually(fact: Callable[[], bool], deadline_s: float = 10.0) -> bool:
    """Look until the fact holds or the time is over; return whether it holds."""
    deadline = time.monotonic() + deadline_s
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.02)
    return fact()
