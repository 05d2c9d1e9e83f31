"""Where programs that come from no wheel are kept once they are there: `.cache/servers` in this tree."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.local.servers.server import ServerUnavailable

CACHE = Path(__file__).parents[3] / ".cache" / "servers"
_LINES_OF_REASON = 8


def need(programs: Sequence[str], *, purpose: str, default: str) -> None:
    """Return when all `programs` are on the PATH, else say which are not and what works without them."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise ServerUnavailable(
            f"{purpose} needs {' and '.join(missing)}, not found on the PATH; the default does without: {default}"
        )


def fetch(command: Sequence[str], into: Path, *, environment: dict[str, str], cwd: Path) -> None:
    """Run `command` to fill a folder and put the folder in place as `into`: it is there whole or not at all.

    `{folder}` in arguments and variables stands for the folder while it is being filled.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=into.parent, prefix=f".{into.name}-") as folder:
        filled = Path(folder) / "filled"
        filled.mkdir()
        full = [argument.replace("{folder}", str(filled)) for argument in command]
        variables = {name: value.replace("{folder}", str(filled)) for name, value in environment.items()}
        done = subprocess.run(full, cwd=cwd, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = "\n".join((done.stdout + done.stderr).splitlines()[-_LINES_OF_REASON:])
            raise ServerUnavailable(f"{command[0]} could not fetch {into.name}:\n{reason}")
        if not into.exists():
            filled.rename(into)
