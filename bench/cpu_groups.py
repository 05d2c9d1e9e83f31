"""Processes held to the same share of a core each by the kernel: n of them are n times the capacity on a machine of any size.

A control group of its own for each, by version 1 (`cpu.cfs_quota_us`) or 2 (`cpu.max`), whichever has the CPU here; made by root,
or whoever may write there, on Linux 5.14 or newer. The weight of a group is the highest there is, and what it could not use while
it waited it may use in the next period: what it is held to, it shall get. What a killed run left behind is removed by the next.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

PERIOD_US = 50_000
"""In how long a share is dealt out anew. Dealt out by single milliseconds, a job costs a lone worker half as much CPU again."""

_PREFIX = "earwitness-bench-"
_PATIENCE_S = 5.0
_MOUNTS, _OWN, _STAT = Path("/proc/self/mounts"), Path("/proc/self/cgroup"), Path("/proc/stat")


class NoCpuGroups(Exception):
    """No process can be held to a share here; says why."""


class Controller(msgspec.Struct, frozen=True):
    """Where control groups for the CPU are made, and the version of the kernel's interface there."""

    folder: Path
    version: int


class CpuGroup:
    """One group; at most `share` of a core for what is in it."""

    def __init__(self, controller: Controller, name: str, share: float) -> None:
        self._folder = controller.folder / name
        self._folder.mkdir()
        try:
            self._limit(controller.version, round(share * PERIOD_US))
        except OSError:
            self._folder.rmdir()
            raise

    def _limit(self, version: int, quota_us: int) -> None:
        if version == 1:
            self._write("cpu.cfs_period_us", str(PERIOD_US))
            self._write("cpu.cfs_quota_us", str(quota_us))
            self._write("cpu.cfs_burst_us", str(quota_us))
            self._write("cpu.shares", "262144")
        else:
            self._write("cpu.max", f"{quota_us} {PERIOD_US}")
            self._write("cpu.max.burst", str(quota_us))
            self._write("cpu.weight", "10000")

    def hold(self, pid: int) -> None:
        """Hold a process, all its threads and what it starts from now on."""
        self._write("cgroup.procs", str(pid))

    def held_back(self) -> float:
        """Return in which share of the periods it had used up its own and wanted more."""
        counted = dict(line.split() for line in (self._folder / "cpu.stat").read_text(encoding="ascii").splitlines())
        return int(counted["nr_throttled"]) / max(1, int(counted["nr_periods"]))

    def remove(self) -> None:
        """Remove the group once the processes in it are gone."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._folder.exists():
            try:
                self._folder.rmdir()
            except OSError:  # the last of a process leaves a little after it was waited for
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _write(self, name: str, value: str) -> None:
        (self._folder / name).write_text(value, encoding="ascii")


@contextmanager
def cpu_groups(number: int, share: float) -> Iterator[Sequence[CpuGroup]]:
    """Make so many groups with `share` of a core each; removes them whatever happens. Raises `NoCpuGroups`."""
    controller = _controller()
    _remove_leftovers(controller)
    groups: list[CpuGroup] = []
    with contextlib.ExitStack() as removals:
        try:
            for each in range(number):
                groups.append(CpuGroup(controller, f"{_PREFIX}{os.getpid()}-{each}", share))
                removals.callback(groups[-1].remove)
        except OSError as refusal:
            raise NoCpuGroups(f"no control group can be made: {refusal}") from refusal
        yield groups


def controller_in(mounts: str, own: str) -> Controller | None:
    """Return where the CPU's groups are made, from `/proc/self/mounts` and `/proc/self/cgroup`; of version 1 below our own group.

    Of version 2 below the root, because a group that holds processes may not divide what it has.
    """
    rows = [line.split() for line in mounts.splitlines()]
    for _, folder, kind, options, *_ in rows:
        if kind == "cgroup" and "cpu" in options.split(","):
            paths = (line.split(":", 2) for line in own.splitlines())
            group = next((path for _, names, path in paths if "cpu" in names.split(",")), "/")
            return Controller(Path(folder) / group.lstrip("/"), 1)
    return next((Controller(Path(folder), 2) for _, folder, kind, *_ in rows if kind == "cgroup2"), None)


def _controller() -> Controller:
    try:
        found = controller_in(_MOUNTS.read_text(encoding="utf-8"), _OWN.read_text(encoding="utf-8"))
        if found is None:
            raise NoCpuGroups("no control groups are mounted")
        if found.version > 1 and "cpu" not in (found.folder / "cgroup.subtree_control").read_text(encoding="ascii").split():
            raise NoCpuGroups("the CPU is not among what control groups divide here")
    except OSError as missing:
        raise NoCpuGroups(f"no control groups: {missing}") from missing
    return found


def _remove_leftovers(controller: Controller) -> None:
    for folder in controller.folder.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def idle_s() -> float:
    """Return for how many seconds the machine's cores were idle so far, together; 0 where the kernel does not tell."""
    with contextlib.suppress(FileNotFoundError):
        idle, waiting = _STAT.read_text(encoding="ascii").splitlines()[0].split()[4:6]
        return (int(idle) + int(waiting)) / os.sysconf("SC_CLK_TCK")
    return 0.0
