"""What texts on the wire may be. Those of a resource are for the schemas made from its Struct; decoding does not check them."""

from enum import StrEnum

import msgspec

ID_CHARACTERS = "[A-Za-z0-9]{1,64}"
"""What follows an id's prefix and underscore: existing clients accept nothing else (contract 0.4)."""

TIME_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"
"""A time on the wire (contract A3)."""

REQUEST_ID = "[A-Za-z0-9_.:-]{1,128}"
"""What a client may call its request."""


def id_pattern(*prefixes: str) -> str:
    """Return the pattern of ids with one of the prefixes."""
    return f"^{prefixes[0]}_{ID_CHARACTERS}$" if len(prefixes) == 1 else f"^({'|'.join(prefixes)})_{ID_CHARACTERS}$"


def an_id(*prefixes: str) -> msgspec.Meta:
    """Describe a text that is an id with one of the prefixes."""
    return msgspec.Meta(extra_json_schema={"pattern": id_pattern(*prefixes)})


def one_of(words: type[StrEnum]) -> msgspec.Meta:
    """Describe a text that is one of `words`."""
    return msgspec.Meta(extra_json_schema={"enum": [word.value for word in words]})
