"""Become another program once the parent says so: `python held.py <descriptor> <program> <argument>…`.

A byte on the pipe behind the descriptor is the word; when the pipe ends without one, the parent is gone, and so is this process.
The process id and the start time stay the same over the exec. A script on the bare standard library, so it starts at once.
"""

import os
import sys

if __name__ == "__main__":
    pipe = int(sys.argv[1])
    if not os.read(pipe, 1):
        sys.exit(1)
    os.close(pipe)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606  # becoming the program named by the caller is the purpose
