"""Random bytes for ids, from the system's generator, fetched in advance.

Asking the system for a few bytes lets go of the interpreter, and another thread may keep it for milliseconds: too long to wait
several times a request.
"""

import os
import threading
from collections.abc import Iterator

_AT_ONCE = 1024


class _Reserve:
    """Bytes that nobody has been given yet; a forked process never shares its parent's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()
        os.register_at_fork(after_in_child=self._begin_anew)

    def forget(self) -> None:
        """Fetch anew at the next request."""
        self._bytes, self._at = b"", 0
        self._words: Iterator[int] = iter(())

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        with self._lock:
            if self._at + count > len(self._bytes):
                self._bytes, self._at = os.urandom(max(_AT_ONCE, count)), 0
            taken = self._bytes[self._at : self._at + count]
            self._at += count
            return taken

    def word(self) -> int:
        """Return a number of 32 bits."""
        while (word := next(self._words, None)) is None:
            self._words = iter(memoryview(os.urandom(_AT_ONCE)).cast("I"))
        return word

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self.forget()


_reserve = _Reserve()


def random_bytes(count: int) -> bytes:
    """Return random bytes that nobody can guess and nobody else was given."""
    return _reserve.take(count)


def random_word() -> int:
    """Return a number of 32 random bits, as secret as `random_bytes`, in a fifth of the time."""
    return _reserve.word()
