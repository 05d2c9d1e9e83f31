"""Runs the demo; an interrupt while it is still being loaded ends it as quietly as a later one."""

import os
import signal
import sys
from types import FrameType


def end_at_once(_number: int, _frame: FrameType | None) -> None:
    """End the process where it stands: nothing runs yet, and the loading of a module may drop an exception."""
    os.write(1, b"\nstopped; nothing is left running\n")
    os._exit(130)


signal.signal(signal.SIGINT, end_at_once)  # whoever started it may have ignored interrupts, too

from deploy.local.demo.command import main  # noqa: E402 - it takes a second

if __name__ == "__main__":
    sys.exit(main())
