"""Become another program that dies with its parent: `python tether.py <parent pid> <program> <argument>…`.

On Linux the kernel is asked to kill this process when the parent's spawning thread ends, `kill -9` included; the process id
stays the same over the exec. Elsewhere it only becomes the program. A script on the bare standard library, so it starts at once.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Ask for SIGKILL at the parent's end; leave at once when it ended before it could be asked for."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # becoming the program named by the caller is the purpose
