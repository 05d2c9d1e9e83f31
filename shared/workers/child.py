"""The worker process: runs `initialize()` once, then one job after another, until its parent is gone.

It never outlives its parent: the kernel kills it with the parent (Linux), and it ends itself at the end of its input
(everywhere). SIGINT and SIGTERM are the parent's to answer. What it prints goes to standard error.
"""

import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO

from shared.domain.errors import PermanentFailure, TransientFailure
from shared.workers.failures import finds_no_room
from shared.workers.messages import LENGTH, Failed, Message, Progressed, Succeeded, Warm, from_body, to_frame

PR_SET_PDEATHSIG = 1
AUTOGROUP = Path("/proc/self/autogroup")
AUTOGROUP_TRIES = 20
AUTOGROUP_PAUSE_S = 0.11
THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Work = Callable[[Any, Callable[[Any], None]], Any]


def main(parent_pid: int, nice: int, threads: int) -> None:
    """Serve jobs for ever; called by the boot line in `worker.py`, before anything that reads the thread limits is imported."""
    for terminal_signal in (signal.SIGINT, signal.SIGTERM):
        signal.signal(terminal_signal, signal.SIG_IGN)
    _die_with_parent(parent_pid)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # uvloop hands on what was made inheritable
    os.nice(nice)
    for name in THREAD_LIMITS:
        os.putenv(name, str(threads))
    requests, answers = _private_streams()
    jobs: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(requests, jobs), daemon=True).start()
    _serve(jobs, nice, lambda message: _send(answers, message))


def _serve(jobs: SimpleQueue[bytes], nice: int, send: Callable[[Message], None]) -> None:
    """The first frame is `initialize`; every later one is a job."""
    try:
        work: Work = from_body(jobs.get())()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        send(_failed(error))
        return
    _let_others_go_first(nice)
    send(Warm())
    while True:
        send(_outcome(work, jobs.get(), send))


def _outcome(work: Work, body: bytes, send: Callable[[Message], None]) -> Succeeded | Failed:
    try:
        outcome = Succeeded(work(from_body(body), lambda value: send(Progressed(value))))
        to_frame(outcome)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        return _failed(error)
    return outcome


def _failed(error: Exception) -> Failed:
    """Exceptions travel as plain facts: many cannot be pickled, or not be unpickled."""
    text = "".join(traceback.format_exception(error))
    match error:
        case PermanentFailure():
            return Failed(message=error.message, traceback=text, reason=error.reason.value, chunk_number=error.chunk_number)
        case TransientFailure():
            return Failed(message=str(error), traceback=text, transient=True)
        case _:
            return Failed(message=f"{type(error).__name__}: {error}", traceback=text, no_room=finds_no_room(error))


def _send(answers: BinaryIO, message: Message) -> None:
    try:
        answers.write(to_frame(message))
        answers.flush()
    except BrokenPipeError:
        os._exit(0)


def _read(requests: BinaryIO, jobs: SimpleQueue[bytes]) -> None:
    """Queue what the parent sends; the end of it is the end of the process, whatever the job is doing."""
    while len(header := requests.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(header)
        jobs.put(requests.read(length))
    os._exit(0)


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Move the pipes away from descriptors 0 and 1, where a library's print could break into them."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, answers


def _let_others_go_first(nice: int) -> None:
    """Have the session be nice, too, which this process has for itself; once it is warm, for until then others wait for it.

    Where Linux shares the cores among sessions (autogroup, on by default outside containers), niceness counts between processes
    of one session only: whoever serves requests beside us would have no more of a core than we do.
    """
    if os.getsid(0) != os.getpid() or not AUTOGROUP.exists():
        return
    for _ in range(AUTOGROUP_TRIES):
        try:
            _write(AUTOGROUP, b"%d" % nice)
        except BlockingIOError:  # but for root, Linux lets one session of the machine change this in a tenth of a second
            time.sleep(AUTOGROUP_PAUSE_S)
        except OSError:
            return
        else:
            return


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def _die_with_parent(parent_pid: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the request above took hold
        os._exit(0)
