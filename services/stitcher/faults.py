"""Turns what a reader found wrong into the failure the recording is given: a reason and the number of the chunk."""

from collections.abc import Iterator
from contextlib import contextmanager

import av

from services.stitcher.bytestream import ByteStream
from services.stitcher.containers.malformed import Malformed
from services.stitcher.libopus import OpusRefused
from shared.domain.errors import FailureReason, PermanentFailure


def chunk_failure(reason: FailureReason, number: int, message: str) -> PermanentFailure:
    """The failure of chunk `number` (from 1)."""
    return PermanentFailure(reason, f"chunk {number}: {message}", chunk_number=number)


def not_audio(number: int) -> PermanentFailure:
    """Chunk `number` neither begins a file we know nor belongs to the one before it."""
    return chunk_failure(FailureReason.CHUNK_NOT_AUDIO, number, "no audio format we know begins here")


def mixed(number: int, message: str) -> PermanentFailure:
    """Chunk `number` is fine by itself but not of one kind with the first."""
    return chunk_failure(FailureReason.CHUNKS_MIXED, number, message)


def said(fault: Exception) -> str:
    """What a reader complains of, without the place of the file on our disk."""
    return (fault.strerror or "invalid data") if isinstance(fault, av.FFmpegError) else str(fault)


@contextmanager
def blaming(number: int) -> Iterator[None]:
    """Whatever is wrong with the bytes in here is the fault of chunk `number`."""
    try:
        yield
    except Malformed as fault:
        raise chunk_failure(fault.reason, number, fault.message) from fault
    except (OpusRefused, av.FFmpegError, ValueError) as fault:
        raise chunk_failure(FailureReason.CHUNK_CORRUPT, number, f"cannot be decoded ({said(fault)})") from fault


@contextmanager
def locating(stream: ByteStream) -> Iterator[None]:
    """Whatever is malformed in here is the fault of the chunk that holds the offset.

    A file that stops making sense exactly where a later chunk begins is whole so far: that chunk is no audio.
    """
    try:
        yield
    except Malformed as fault:
        number = stream.number_at(fault.offset)
        if fault.reason is FailureReason.CHUNK_CORRUPT and number > 1 and fault.offset == stream.starts[number - 1]:
            raise not_audio(number) from fault
        raise chunk_failure(fault.reason, number, fault.message) from fault
