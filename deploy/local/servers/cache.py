"""Where programs that come from no wheel are kept once they are there: `.cache/servers` in this tree."""

import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.local.servers.child import Child
from deploy.local.servers.server import ServerUnavailable

CACHE = Path(__file__).parents[3] / ".cache" / "servers"
_LINES_OF_REASON = 8
_POLL_S = 0.1


def need(programs: Sequence[str], *, purpose: str, default: str) -> None:
    """Return when all `programs` are on the PATH, else say which are not and what works without them."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise ServerUnavailable(
            f"{purpose} needs {' and '.join(missing)}, not found on the PATH; the default does without: {default}"
        )


def fetch(command: Sequence[str], into: Path, environment: Mapping[str, str], given_up: threading.Event) -> None:
    """Run `command` to fill a folder and put the folder in place as `into`: it is there whole or not at all.

    `{folder}` in arguments and variables stands for the folder while it is being filled. When given up, or on Ctrl-C, the program
    is ended before the error leaves.
    """
    print(f"{command[0]} fetches {into.name}; only once, but it may take some minutes …", file=sys.stderr, flush=True)
    into.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=into.parent, prefix=f".{into.name}-") as folder:
        filled = Path(folder) / "filled"
        filled.mkdir()
        program = Child(command[0], Path(folder) / "log")
        try:
            program.start(
                [argument.replace("{folder}", str(filled)) for argument in command],
                {name: value.replace("{folder}", str(filled)) for name, value in environment.items()},
            )
            while program.exit_code is None and not given_up.wait(_POLL_S):
                pass
        finally:
            program.kill()
        if program.exit_code:
            raise ServerUnavailable(f"{command[0]} could not fetch {into.name}:\n{program.tail(_LINES_OF_REASON)}")
        if not into.exists():
            filled.rename(into)
