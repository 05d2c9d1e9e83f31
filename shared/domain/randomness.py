"""Randomness for ids, from the system's generator, fetched in advance and cut up many at a time.

Asking the system for a few bytes lets go of the interpreter, and another thread may keep it for milliseconds: too long to wait
several times a request.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32."""

LETTERS = (ALPHABET * 8).encode()
"""For each byte, by `bytes.translate`, the letter of its last five bits."""

_AT_ONCE = 1024
_BY_TWELVE, _BY_THIRTY_TWO = re.compile(".{12}"), re.compile(".{32}")


class _Reserve(Generic[T]):
    """What nobody has been given yet; a forked process never shares its parent's."""

    def __init__(self, make: Callable[[bytes], Iterable[T]]) -> None:
        self._make = make
        self.forget()
        os.register_at_fork(after_in_child=self.forget)

    def forget(self) -> None:
        """Fetch anew at the next request."""
        self._ready: Iterator[T] = iter(())

    def __call__(self) -> T:
        """Return the next one; threads that find none at the same moment may fetch for each other."""
        while (given := next(self._ready, None)) is None:
            self._ready = iter(self._make(os.urandom(_AT_ONCE)))
        return given


random_word: _Reserve[int] = _Reserve(lambda fetched: memoryview(fetched).cast("I"))
"""Return a number of 32 random bits that nobody can guess and nobody else was given."""

random_letters: _Reserve[str] = _Reserve(lambda fetched: _BY_TWELVE.findall(fetched.translate(LETTERS).decode()))
"""Return twelve random letters of `ALPHABET`, 60 bits that nobody can guess and nobody else was given."""

random_hex: _Reserve[str] = _Reserve(lambda fetched: _BY_THIRTY_TWO.findall(fetched.hex()))
"""Return 128 random bits in hexadecimal digits that nobody can guess and nobody else was given."""
