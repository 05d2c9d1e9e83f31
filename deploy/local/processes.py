"""Processes that outlive the command that started them: recognised later by id and start time, and ended."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec

_POLL_S = 0.05


class Mark(msgspec.Struct, frozen=True):
    """One process: an id alone may be somebody else's by now."""

    name: str
    pid: int
    started: str


def mark(name: str, pid: int) -> Mark:
    """Note a running process."""
    return Mark(name, pid, started_at(pid) or "")


def started_at(pid: int) -> str | None:
    """Return when the process began, as text to compare; None when there is none."""
    if sys.platform != "linux":
        answer = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return answer.stdout.strip() or None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    state, start = fields[0], fields[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return None if state in "ZX" else f"{boot} {start}"


def is_running(noted: Mark) -> bool:
    """Whether that very process still runs."""
    return bool(noted.started) and started_at(noted.pid) == noted.started


def end(marks: list[Mark], grace_s: float) -> None:
    """SIGTERM to all, SIGKILL to what is left after the grace time, their own children included; none runs afterwards."""
    running = [noted for noted in marks if is_running(noted)]
    _signal(running, signal.SIGTERM)
    _await_end(running, grace_s)
    for noted in running:  # each leads a session: what it started and left behind is in its group
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(noted.pid, signal.SIGKILL)
    _await_end(running, grace_s)


def _signal(marks: list[Mark], number: signal.Signals) -> None:
    for noted in marks:
        with suppress(ProcessLookupError):
            os.kill(noted.pid, number)


def _await_end(marks: list[Mark], grace_s: float) -> None:
    deadline = time.monotonic() + grace_s
    while any(is_running(noted) for noted in marks) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
