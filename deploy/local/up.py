"""`make up`: start the platform, leave it running, and say how to use it."""

import argparse
import sys
import threading
from pathlib import Path
from typing import get_args

from deploy.local.api import new_project
from deploy.local.chores import ChoreFailed
from deploy.local.introduction import introduction
from deploy.local.plan import Broker, Store, new_plan, renewed
from deploy.local.processes import Mark, end, mark
from deploy.local.servers.server import ServerDidNotStart, ServerUnavailable
from deploy.local.stack import Stack
from deploy.local.state import FOLDER, State, StateFile, StateUnreadable
from deploy.local.stopping import as_interrupt

_GRACE_S = 30.0


def up(file: StateFile, broker: Broker, store: Store) -> State:
    """Start what does not run; a stack that runs with the same servers is left as it is. Its data and keys stay valid."""
    before = file.read()
    if before and is_whole(before, broker, store):
        return before
    if before:
        end(before.services, _GRACE_S)
        end(before.servers, _GRACE_S)
    plan = renewed(before.plan, broker, store) if before else new_plan(broker, store)
    stack = Stack(plan, file.folder, tethered=False)
    project_id, key = (before.project_id, before.api_key) if before else ("", "")
    spawning = threading.Lock()

    def note() -> None:
        """Let `down` find it even if this process is killed before it is done."""
        with spawning:
            services, servers = marks(stack)
            file.write(State(plan, services, servers, project_id, key, whole=False))

    for member in stack.members.values():
        member.spawned = note
    try:
        stack.start()
        if not key:
            project_id, key = new_project(stack.api_url, plan.admin_token, "local")
        state = State(plan, *marks(stack), project_id, key)
        file.write(state)
    except BaseException:
        stack.stop()
        raise
    return state


def is_whole(state: State, broker: Broker, store: Store) -> bool:
    """Whether everything of it runs, on these servers."""
    members = len(state.services) + len(state.servers)
    return state.whole and members > 0 and len(state.running) == members and (state.plan.broker, state.plan.s3) == (broker, store)


def marks(stack: Stack) -> tuple[list[Mark], list[Mark]]:
    """Note every process of a stack: the services, and the servers."""
    running = {name: member.child.pid for name, member in stack.members.items()}
    noted = {name: mark(name, pid) for name, pid in running.items() if pid is not None}
    services = [noted.pop(name) for name in stack.services if name in noted]
    return services, list(noted.values())


def main() -> int:
    """Run `make up`."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.up", description=__doc__)
    parser.add_argument("--broker", choices=get_args(Broker), default="memory")
    parser.add_argument("--s3", choices=get_args(Store), default="seaweedfs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where data, logs and the state are kept")
    given = parser.parse_args()
    file = StateFile(given.folder.resolve())
    try:
        with as_interrupt(), file.lock():
            print("starting the servers and the services …", flush=True)
            state = up(file, given.broker, given.s3)
            print(introduction(state, file.folder), flush=True)
            print("\n`make down` stops it; the data stays.")
    except KeyboardInterrupt:
        print("\nstopped; nothing was left running", file=sys.stderr)
        return 130
    except (ServerUnavailable, ServerDidNotStart, ChoreFailed, StateUnreadable, OSError) as error:
        print(f"make up: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
