"""`make down`: stop what `make up` started; its data stays."""

import argparse
import sys
from pathlib import Path

import msgspec

from deploy.local.processes import end
from deploy.local.servers.seaweedfs import remove_dead_sockets
from deploy.local.state import FOLDER, StateFile, StateUnreadable
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
    remove_dead_sockets()
    file.write(msgspec.structs.replace(state, services=[], servers=[]))
    return running


def main() -> int:
    """Run `make down`."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.down", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where `up` keeps its state")
    file = StateFile(parser.parse_args().folder.resolve())
    try:
        with as_interrupt(), file.lock():
            stopped = down(file)
    except KeyboardInterrupt:
        print("\ninterrupted; `make down` again stops the rest", file=sys.stderr)
        return 130
    except (StateUnreadable, OSError) as error:
        print(f"make down: {error}", file=sys.stderr)
        return 1
    print(f"stopped {stopped} processes; the data stays in {file.folder}" if stopped else "nothing was running")
    return 0


if __name__ == "__main__":
    sys.exit(main())
