"""What formats made of named chunks have in common (RIFF, AIFF, CAF, the boxes of MP4)."""

UNSIZED = 0x7FFFF000
"""From here on a size means that its writer, to a pipe, did not know it: 0xFFFFFFFF, 0x7FFFFFFF and the like."""

_LETTERS = range(32, 127)


def is_name(name: bytes) -> bool:
    """Whether a chunk may be called so; samples and padding are rarely spelt like that."""
    return all(letter in _LETTERS for letter in name)
