"""`make down`: stop what `make up` started; its data stays."""

import sys

import msgspec

from deploy.local.processes import end
from deploy.local.state import StateFile
from deploy.local.stopping import as_interrupt

_SERVICE_GRACE_S = 30.0  # a little over the services' own time to drain
_SERVER_GRACE_S = 8.0


def down(file: StateFile) -> int:
    """Drain the services, then end the servers; return how many processes ran. Doing it again changes nothing."""
    state = file.read()
    if state is None:
        return 0
    running = len(state.running)
    end(state.services, _SERVICE_GRACE_S)
    end(state.servers, _SERVER_GRACE_S)
    file.write(msgspec.structs.replace(state, services=[], servers=[]))
    return running


def main() -> int:
    """Run `make down`."""
    file = StateFile()
    with as_interrupt(), file.lock():
        stopped = down(file)
    print(f"stopped {stopped} processes; the data stays in {file.folder}" if stopped else "nothing was running")
    return 0


if __name__ == "__main__":
    sys.exit(main())
