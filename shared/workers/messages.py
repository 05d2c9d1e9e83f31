"""What a worker process and its parent say to each other: pickled, each behind its length.

Both ends are the same program on the same machine, joined by anonymous pipes, so pickle meets no foreign bytes.
"""

import pickle
import struct
from typing import Any

import msgspec

LENGTH = struct.Struct("!Q")


class Warm(msgspec.Struct, frozen=True):
    """`initialize()` returned: the process takes jobs."""


class Progressed(msgspec.Struct, frozen=True):
    """The work reported how far it is; the value is the work's own."""

    value: Any


class Succeeded(msgspec.Struct, frozen=True):
    """The job's result."""

    result: Any


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """The job (or `initialize()`) raised; the process lives on.

    `reason` is set for a permanent failure, `transient` for a transient one, and `no_room` where the machine has none; none of
    them means any other exception.
    """

    message: str
    traceback: str
    reason: str | None = None
    chunk_number: int | None = None
    transient: bool = False
    no_room: bool = False


Message = Warm | Progressed | Succeeded | Failed


def to_frame(value: object) -> bytes:
    """Pickle `value` and put its length in front; raises what pickle raises for a value that cannot travel."""
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def from_body(body: bytes) -> Any:  # noqa: ANN401 - whatever the other end sent
    """Undo `to_frame`, given the frame without its length."""
    return pickle.loads(body)  # noqa: S301 - see the module's docstring
