"""Identifiers: a prefix, an underscore and a 26-character ULID (contract A2).

A ULID is 48 bits of milliseconds and 80 bits of randomness in Crockford's base 32, so ids sort by time. Derived ids put a
hash where the randomness stands: the same facts give the same id, which is how a replay is recognised.
"""

import functools
import hashlib
import threading
import time

from shared.domain.randomness import ALPHABET, LETTERS, random_letters, random_word

_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)  # ten bits each
_TIME_CHARACTERS, _OTHER_CHARACTERS = 10, 16
_COUNT_BITS = 20


class _Minter:
    """Mints ULIDs that ascend within this process, those of one millisecond too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moment_ms, self._count = 0, 0
        self._time_half = ""

    def mint(self) -> str:
        """Return the next ULID; within a millisecond its first 20 bits count up from a random number, 60 are always new."""
        with self._lock:
            moment_ms = time.time_ns() // 1_000_000
            count = self._count + 1
            if moment_ms > self._moment_ms or count >> _COUNT_BITS:
                moment_ms = max(moment_ms, self._moment_ms + 1)
                self._moment_ms, self._time_half = moment_ms, _base32(moment_ms, _TIME_CHARACTERS)
                count = random_word() >> 32 - _COUNT_BITS + 1
            self._count = count
            return self._time_half + _PAIRS[count >> 10] + _PAIRS[count & 1023] + random_letters()


_minter = _Minter()


def new_id(prefix: str) -> str:
    """Mint a new id such as `rec_01J9ZW…`; it sorts after every id this process minted before."""
    return f"{prefix}_{_minter.mint()}"


def new_ulid() -> str:
    """Mint a bare ULID; it sorts after every one this process minted before."""
    return _minter.mint()


def derived_id(prefix: str, source_id: str, *facts: object) -> str:
    """Derive an id from `source_id` and `facts`: the time half of the source, a SHA-256 of everything as the other half."""
    time_half = source_id.rpartition("_")[2][:_TIME_CHARACTERS]
    return f"{prefix}_{time_half}{_hashed(source_id, *facts)}"


def later_derived_id(prefix: str, moment_ms: int, *facts: object) -> str:
    """Derive an id from `facts` that sorts at `moment_ms` (Unix milliseconds)."""
    return f"{prefix}_{_base32(moment_ms, _TIME_CHARACTERS)}{_hashed(*facts)}"


def sorted_after(some_id: str, other_id: str) -> str:
    """Return `some_id` if it sorts after `other_id`; else with the time of that, and a millisecond more, in place of its own."""
    if some_id > other_id:
        return some_id
    prefix, _, ulid = some_id.rpartition("_")
    return f"{prefix}_{_base32(_moment_ms(other_id) + 1, _TIME_CHARACTERS)}{ulid[_TIME_CHARACTERS:]}"


def same_but_for_time(some_id: str, other_id: str) -> bool:
    """Say whether two ids of one kind differ at most in their time halves, as those that `sorted_after` made of one do."""
    return some_id[-_OTHER_CHARACTERS:] == other_id[-_OTHER_CHARACTERS:]


def event_id(aggregate_id: str, event_type: str, version: int) -> str:
    """Derive the id of the event by which `aggregate_id` came to `version`."""
    return derived_id("evt", aggregate_id, event_type, version)


def made_since(some_id: str, moment_ms: int) -> bool:
    """Say whether the id was minted at `moment_ms` (Unix milliseconds) or later; of a derived one, whether its source was."""
    return some_id.rpartition("_")[2][:_TIME_CHARACTERS] >= _base32(moment_ms, _TIME_CHARACTERS)


def _hashed(*facts: object) -> str:
    """Return the last five bits of each of the digest's first sixteen bytes: 80 bits as good as any other."""
    digest = hashlib.sha256("\x1f".join(map(str, facts)).encode()).digest()
    return digest[:_OTHER_CHARACTERS].translate(LETTERS).decode()


def _moment_ms(some_id: str) -> int:
    time_half = some_id.rpartition("_")[2][:_TIME_CHARACTERS]
    return functools.reduce(lambda value, letter: value * len(ALPHABET) + ALPHABET.index(letter), time_half, 0)


def _base32(value: int, characters: int) -> str:
    """Return an even number of `characters`, two at a time."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(5 * characters - 10, -1, -10)])
