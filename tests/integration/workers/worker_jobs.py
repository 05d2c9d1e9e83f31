"""What the worker processes of these tests do: importable, as the pool asks of its work."""

import ctypes
import os
import signal
import socket
import stat
import threading
import time
from pathlib import Path

import msgspec

from shared.domain.errors import FailureReason, PermanentFailure, TransientFailure
from shared.workers.child import AUTOGROUP


class Sum(msgspec.Struct, frozen=True):
    """Add `numbers`, reporting each partial sum."""

    numbers: tuple[int, ...]


class Act(msgspec.Struct, frozen=True):
    """Do something that a test wants to see."""

    what: str
    path: Path | None = None


def initialize():
    started = time.monotonic()

    def work(job, report):
        match job:
            case Sum():
                total = 0
                for number in job.numbers:
                    total += number
                    report(total)
                return total
            case Act():
                return ACTS[job.what](job, report, started)

    return work


def initialize_never():
    raise TransientFailure("no model here")


def initialize_once(marker: Path):
    """Succeeds in the first process only."""
    marker.touch(exist_ok=False)
    return initialize()


def _hang(job, report, started):
    report(os.getpid())
    while True:
        time.sleep(60)


def _hang_in_native_code(job, report, started):
    """Holds the interpreter lock, so no Python thread of this process runs."""
    report(os.getpid())
    ctypes.PyDLL(None).sleep(600)


def _finish_slowly(job, report, started):
    report(os.getpid())
    deadline = time.monotonic() + 30
    while not job.path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return "finished"


def _fault(job, report, started):
    os.kill(os.getpid(), signal.SIGSEGV)


def _reject(job, report, started):
    raise PermanentFailure(FailureReason.CHUNK_CORRUPT, "no frame decodes", chunk_number=7)


def _wait_for_better_times(job, report, started):
    raise TransientFailure("the disk is full")


def _fill_the_disk(job, report, started):
    with Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"more")


def _stumble(job, report, started):
    raise ZeroDivisionError("of the work")


def _return_a_thread(job, report, started):
    return threading.current_thread()


def _survive_signals(job, report, started):
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    print("a print must not break the pipe")  # noqa: T201
    os.write(1, b"nor must a write to descriptor 1\n")
    return "survived"


def _describe(job, report, started):
    sockets = [fd.name for fd in Path("/dev/fd").iterdir() if _listens(int(fd.name))]
    libc_getenv = ctypes.CDLL(None).getenv
    libc_getenv.restype = ctypes.c_char_p
    return {
        "pid": os.getpid(),
        "nice": os.nice(0),
        "session": AUTOGROUP.read_text().rpartition(" ")[2].strip() if AUTOGROUP.exists() else None,
        "listening": sockets,
        "started": started,
        "variables": sorted(os.environ),
        "telemetry": [os.environ[name] for name in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")],
        "omp": libc_getenv(b"OMP_NUM_THREADS").decode(),
    }


def _listens(fd):
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return False
        with socket.socket(fileno=os.dup(fd)) as found:
            return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


ACTS = {
    "hang": _hang,
    "hang in native code": _hang_in_native_code,
    "finish slowly": _finish_slowly,
    "fault": _fault,
    "reject": _reject,
    "wait for better times": _wait_for_better_times,
    "fill the disk": _fill_the_disk,
    "stumble": _stumble,
    "return a thread": _return_a_thread,
    "survive signals": _survive_signals,
    "describe": _describe,
}
