"""How a service looks after its memory.

By default it spends a seventh of its time on looking for garbage that holds itself, and a tenth of what a chunk costs it on pages
that it gave back to the system a moment before and asks for again.
"""

import ctypes
import gc

_NEW_OBJECTS = 20_000  # so many more made than freed, and the youngest are looked through; by default 700
_YOUNG_ROUNDS = 20
_MIDDLE_ROUNDS = 50

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # their names in glibc's malloc.h
_MOST_FREE_BYTES = 32 * 1024 * 1024  # at the end of the heap; by default a few hundred KiB, two bodies of chunks
_LARGE_BYTES = 1024 * 1024  # what is given back as soon as it is free; by default as little as a body of a chunk


def settle() -> None:
    """Pass over, from now on, what is there for good (modules, clients, routes), and look through the rest less often.

    Memory is given back without it but for cycles: of those, some thousand small objects more may wait at any time. Up to 32 MiB
    of what was freed the process keeps for what comes next.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_ROUNDS, _MIDDLE_ROUNDS)
    _keep_freed()


def _keep_freed() -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc has it; elsewhere the allocator has its own ways
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _MOST_FREE_BYTES)
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
