"""Identifiers: a prefix, an underscore and a 26-character ULID (contract A2).

A ULID is 48 bits of milliseconds and 80 bits of randomness in Crockford's base 32, so ids sort by time. Derived ids put a
hash where the randomness stands: the same facts give the same id, which is how a replay is recognised.
"""

import hashlib
import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_CHARACTERS = 10
_RANDOM_BITS = 80
_RANDOM_CHARACTERS = 16


def new_id(prefix: str) -> str:
    """Mint a new id such as `rec_01J9ZW…`; two ids never collide in practice (80 random bits per millisecond)."""
    moment_ms = time.time_ns() // 1_000_000
    return f"{prefix}_{_base32(moment_ms, _TIME_CHARACTERS)}{_base32(secrets.randbits(_RANDOM_BITS), _RANDOM_CHARACTERS)}"


def derived_id(prefix: str, source_id: str, *facts: object) -> str:
    """Derive an id from `source_id` and `facts`: the time half of the source, a SHA-256 of everything as the other half."""
    time_half = source_id.partition("_")[2][:_TIME_CHARACTERS]
    digest = hashlib.sha256("\x1f".join([source_id, *map(str, facts)]).encode()).digest()
    return f"{prefix}_{time_half}{_base32(int.from_bytes(digest[: _RANDOM_BITS // 8]), _RANDOM_CHARACTERS)}"


def later_derived_id(prefix: str, moment_ms: int, *facts: object) -> str:
    """Derive an id from `facts` that sorts at `moment_ms` (Unix milliseconds)."""
    digest = hashlib.sha256("\x1f".join(map(str, facts)).encode()).digest()
    half = _base32(int.from_bytes(digest[: _RANDOM_BITS // 8]), _RANDOM_CHARACTERS)
    return f"{prefix}_{_base32(moment_ms, _TIME_CHARACTERS)}{half}"


def event_id(aggregate_id: str, event_type: str, version: int) -> str:
    """Derive the id of the event by which `aggregate_id` came to `version`."""
    return derived_id("evt", aggregate_id, event_type, version)


def _base32(value: int, characters: int) -> str:
    return "".join(_ALPHABET[value >> (5 * place) & 31] for place in range(characters - 1, -1, -1))
