"""What a container reader raises when the bytes are not what they claim to be."""

from shared.domain.errors import FailureReason


class Malformed(Exception):
    """The bytes at `offset` break the format; `reason` says how.

    Readers know offsets only; the caller turns the offset into the number of the chunk that holds it.
    """

    def __init__(self, reason: FailureReason, offset: int, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.offset = offset
        self.message = message


def truncated(offset: int, what: str) -> Malformed:
    """`what` is cut off: the bytes from `offset` on are missing (the size of the stream, when that is its end)."""
    return Malformed(FailureReason.CHUNK_TRUNCATED, offset, f"{what} is cut off")


def corrupt(offset: int, what: str) -> Malformed:
    """`what` cannot be read as the format it claims."""
    return Malformed(FailureReason.CHUNK_CORRUPT, offset, what)
