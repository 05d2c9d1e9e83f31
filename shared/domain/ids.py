"""Identifiers: a prefix, an underscore and a 26-character ULID (contract A2).

A ULID is 48 bits of milliseconds and 80 bits of randomness in Crockford's base 32, so ids sort by time. Derived ids put a
hash where the randomness stands: the same facts give the same id, which is how a replay is recognised.
"""

import hashlib
import threading
import time

from shared.domain.randomness import random_bytes, random_word

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)  # ten bits each
_TIME_CHARACTERS = 10
_RANDOM_BITS = 80


class _Minter:
    """Mints ULIDs that ascend within this process, those of one millisecond too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moment_ms = 0
        self._time_half = ""
        self._randomness = 0

    def mint(self) -> str:
        """Return the next ULID; within a millisecond the randomness grows by a random step, so it cannot be guessed."""
        with self._lock:
            moment_ms = time.time_ns() // 1_000_000
            if moment_ms > self._moment_ms:
                self._moment_ms, self._randomness = moment_ms, int.from_bytes(random_bytes(_RANDOM_BITS // 8)) >> 1
                self._time_half = _base32(moment_ms, _TIME_CHARACTERS)
            else:
                self._randomness += 1 + random_word()
            return self._time_half + _random_half(self._randomness)


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


def event_id(aggregate_id: str, event_type: str, version: int) -> str:
    """Derive the id of the event by which `aggregate_id` came to `version`."""
    return derived_id("evt", aggregate_id, event_type, version)


def made_since(some_id: str, moment_ms: int) -> bool:
    """Say whether the id was minted at `moment_ms` (Unix milliseconds) or later; of a derived one, whether its source was."""
    return some_id.rpartition("_")[2][:_TIME_CHARACTERS] >= _base32(moment_ms, _TIME_CHARACTERS)


def _hashed(*facts: object) -> str:
    digest = hashlib.sha256("\x1f".join(map(str, facts)).encode()).digest()
    return _random_half(int.from_bytes(digest[: _RANDOM_BITS // 8]))


def _random_half(value: int, pairs: tuple[str, ...] = _PAIRS) -> str:
    """Return 80 bits as 16 characters: `_base32` written out, for several ids are made for each request."""
    return (
        pairs[value >> 70]
        + pairs[value >> 60 & 1023]
        + pairs[value >> 50 & 1023]
        + pairs[value >> 40 & 1023]
        + pairs[value >> 30 & 1023]
        + pairs[value >> 20 & 1023]
        + pairs[value >> 10 & 1023]
        + pairs[value & 1023]
    )


def _base32(value: int, characters: int) -> str:
    """Return an even number of `characters`, two at a time."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(5 * characters - 10, -1, -10)])
