"""Runs the demo; an interrupt while it is still being loaded ends it as quietly as a later one."""

import signal
import sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started it may have ignored interrupts

try:
    from deploy.local.demo.command import main
except KeyboardInterrupt:
    print("\nstopped; nothing is left running")
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
