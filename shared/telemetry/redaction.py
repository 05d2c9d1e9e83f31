"""What never reaches a log line: values under keys that name secrets or spoken words, and credentials inside any text."""

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

REDACTED = "[redacted]"

_SECRET_ANYWHERE = re.compile(r"authorization|secret|token|passw|cookie|credential|api_?key")
_SECRET_WORD = re.compile(r"(?:^|[^a-z])(?:keys?|text|words|signature)(?:$|[^a-z])")
_HARMLESS = frozenset({"object_key", "message_key", "fencing_token", "key_id", "api_key_id", "credential_id", "secret_id"})
SCALARS = (str, int, float, bool, type(None))
_PLAIN = frozenset(SCALARS)

# Credentials of our own (contract A5, A20), of HTTP, of URLs and of pre-signed URLs, wherever they stand in a line. None is
# without one of these marks; a single byte is found in a tenth of the time that a word takes, and most lines have no such one.
_MARKS: tuple[bytes, ...] = (b"@", b"_live_", b"_test_", b"dtok_", b"up_", b"cbk_", b"whsec_")
_MARKS_WITH_A_SPACE, _MARKS_WITH_A_SIGN = (b"earer ", b"asic "), (b"ignature=", b"edential=")
_CREDENTIAL = re.compile(
    rb"(?<![A-Za-z0-9])(?:(?:[sr]k_(?:live|test)_|dtok_|up_|cbk_)[A-Za-z0-9_-]{12,}|whsec_[A-Za-z0-9+/=_-]{12,})"
    rb"|(?<=[Bb]earer )[^\s\"\\]+|(?<=[Bb]asic )[A-Za-z0-9+/=]{8,}"
    rb"|(?<=://)[^\s\"\\/@]+(?=@)"
    rb"|(?<=[Ss]ignature=)[^\s\"\\&]+|(?<=[Cc]redential=)[^\s\"\\&]+"
)


@lru_cache(maxsize=4096)
def names_a_secret(key: str) -> bool:
    """Say whether a value under `key` must not be written."""
    lowered = key.lower()
    if lowered in _HARMLESS:
        return False
    return bool(_SECRET_ANYWHERE.search(lowered) or _SECRET_WORD.search(lowered))


@lru_cache(maxsize=1024)
def _any_names_a_secret(keys: tuple[str, ...]) -> bool:
    return any(map(names_a_secret, keys))


def redact(fields: Mapping[str, object]) -> dict[str, object]:
    """Copy `fields` with every secret value replaced, at any depth; Structs become plain mappings on the way."""
    if not _any_names_a_secret(tuple(fields)) and _PLAIN.issuperset(map(type, fields.values())):
        return dict(fields)
    return {
        key: REDACTED if value is not None and names_a_secret(key) else value if type(value) in SCALARS else _redact_nested(value)
        for key, value in fields.items()
    }


def scrub(line: bytes) -> bytes:
    """Replace credentials that stand inside `line`, whatever key they are under; JSON stays JSON."""
    marks = _MARKS
    if b" " in line:
        marks += _MARKS_WITH_A_SPACE
    if b"=" in line:
        marks += _MARKS_WITH_A_SIGN
    for mark in marks:
        if mark in line:
            return _CREDENTIAL.sub(REDACTED.encode(), line)
    return line


def _redact_nested(value: object) -> object:
    if isinstance(value, Mapping):
        return redact({str(key): nested for key, nested in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_nested(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return redact({name: getattr(value, name) for name in value.__struct_fields__})
    return value
