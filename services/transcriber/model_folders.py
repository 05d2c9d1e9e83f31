"""Where models are kept on this machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.domain.errors import TransientFailure

ANY_WRITE_BIT = 0o222  # root may write anywhere, but a folder marked read-only is meant to stay as it is


class ModelUnavailable(TransientFailure):
    """The model is in none of the places where it may come from; the message says what was tried and why each failed."""


def default_folder() -> Path:
    """Where models are kept when no setting says otherwise."""
    return Path.home() / ".cache" / "earwitness" / "models"


def writable(folders: tuple[Path, ...], tried: list[str]) -> Path:
    """The first of `folders` that can be written, made if need be; why others cannot goes into `tried`."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            tried.append(f"{folder}: {error.strerror}")
        else:
            if folder.stat().st_mode & ANY_WRITE_BIT and os.access(folder, os.W_OK):
                return folder
            tried.append(f"{folder}: read-only")
    raise ModelUnavailable(f"no folder can be written to keep a model in: {'; '.join(tried)}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file; the system frees it when its holder dies."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
