"""Find every process that a command started, however it detached itself: they share a mark in their environment."""

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

MARK = "EARWITNESS_TESTS_MARK"
LISTEN = "0A"  # the state of a listening socket in /proc/net/tcp


def new_mark() -> dict[str, str]:
    """Return a variable to start a command with."""
    return {MARK: secrets.token_hex(16)}


def marked(mark: dict[str, str]) -> list[str]:
    """Return the command lines of the processes that carry the mark."""
    found = []
    for folder in _folders(mark):
        with suppress(OSError):
            found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def listening(mark: dict[str, str]) -> set[int]:
    """Return the TCP ports (IPv4) on which the processes that carry the mark take connections."""
    own: set[str] = set()
    for folder in _folders(mark):
        with suppress(OSError):
            own.update(str(descriptor.readlink()) for descriptor in (folder / "fd").iterdir())
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].partition(":")[2], 16) for row in rows if row[3] == LISTEN and f"socket:[{row[9]}]" in own}


def suspend(pid: int) -> None:
    """Stop a process with SIGSTOP; return once each of its threads stands still: on busy cores some run on for a while."""
    os.kill(pid, signal.SIGSTOP)
    assert eventually(lambda: all(map(_stands_still, Path(f"/proc/{pid}/task").iterdir())))


def _stands_still(thread: Path) -> bool:
    with suppress(OSError):  # it has just ended
        return (thread / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].startswith("T")
    return True


def _folders(mark: dict[str, str]) -> Iterator[Path]:
    wanted = f"{MARK}={mark[MARK]}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield folder


def eventually(fact: Callable[[], bool], deadline_s: float = 30.0) -> bool:
    """Look until the fact holds or the time is over; return whether it holds."""
    deadline = time.monotonic() + deadline_s
    while not fact() and time.monotonic() < deadline:
        time.sleep(0.02)
    return fact()
