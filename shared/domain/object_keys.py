"""Where audio lies in the bucket: the only place that knows the layout of keys.

`{project}/{recording}/chunks/{n:06d}` holds chunk n (from 1), `{project}/{recording}/{media}/{name}` a media file. Numbers are
padded so that the order of keys is the order of chunks.
"""

import re

_CHUNK_KEY = re.compile(r"[^/]+/[^/]+/chunks/([0-9]{6,})")


def recording_prefix(project_id: str, recording_id: str) -> str:
    """Return what every key of the recording starts with; erasing it erases all of its audio."""
    return f"{project_id}/{recording_id}/"


def chunk_prefix(project_id: str, recording_id: str) -> str:
    """Return what the keys of all chunks of the recording start with, and no other key."""
    return f"{project_id}/{recording_id}/chunks/"


def chunk_key(project_id: str, recording_id: str, number: int) -> str:
    """Return the key of chunk `number` (from 1); it sorts by number up to 999,999."""
    return f"{project_id}/{recording_id}/chunks/{number:06d}"


def chunk_number(key: str) -> int | None:
    """Return the number in a chunk's key; None for any key that `chunk_key` would not make."""
    match = _CHUNK_KEY.fullmatch(key)
    if match is None or (number := int(match[1])) < 1 or f"{number:06d}" != match[1]:
        return None
    return number


def media_key(project_id: str, recording_id: str, media_id: str, name: str) -> str:
    """Return the key of a media file; `name` is a plain file name such as `audio.ogg`."""
    return f"{project_id}/{recording_id}/{media_id}/{name}"
