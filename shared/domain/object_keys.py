"""Where audio lies in the bucket: the only place that knows the layout of keys.

| Key | Holds |
|---|---|
| `{project}/{recording}/chunks/{n:06d}.{upload}` | one upload of chunk n (from 1); `upload` is a ULID of its own for every PUT |
| `{project}/{recording}/manifests/{ulid}` | which uploads a finalize joined, where too many for a document (`.chunks`) |
| `{project}/{recording}/answers/{transcription}-{provider}.json` | what a provider on the network answered, until it is read |
| `{project}/{recording}/{media}/{name}` | a media file |

No two PUTs of a chunk share a key, so none replaces another. Numbers are padded so that the order of keys is the order of chunks.
"""

import re

_CHUNK_KEY = re.compile(r"[^/]+/[^/]+/chunks/([0-9]{6,})\.([0-9A-Z]{26})")


def recording_prefix(project_id: str, recording_id: str) -> str:
    """Return what every key of the recording starts with; erasing it erases all of its audio."""
    return f"{project_id}/{recording_id}/"


def chunk_prefix(project_id: str, recording_id: str) -> str:
    """Return what the keys of all chunks of the recording start with, and no other key."""
    return f"{project_id}/{recording_id}/chunks/"


def chunk_key(project_id: str, recording_id: str, number: int, upload_id: str) -> str:
    """Return the key of one upload of chunk `number` (from 1); it sorts by number up to 999,999."""
    return f"{project_id}/{recording_id}/chunks/{number:06d}.{upload_id}"


def chunk_of(key: str) -> tuple[int, str] | None:
    """Return the number and the upload in a chunk's key; None for any key that `chunk_key` would not make."""
    match = _CHUNK_KEY.fullmatch(key)
    if match is None or (number := int(match[1])) < 1 or f"{number:06d}" != match[1]:
        return None
    return number, match[2]


def manifest_prefix(project_id: str, recording_id: str) -> str:
    """Return what the keys of all manifests of the recording start with, and no other key."""
    return f"{project_id}/{recording_id}/manifests/"


def manifest_key(project_id: str, recording_id: str, manifest_id: str) -> str:
    """Return the key of the list of uploads that one finalize made."""
    return f"{project_id}/{recording_id}/manifests/{manifest_id}"


def answer_key(project_id: str, recording_id: str, transcription_id: str, provider: str) -> str:
    """Return the key of what a provider answered to the order of a transcription."""
    return f"{project_id}/{recording_id}/answers/{transcription_id}-{provider}.json"


def media_prefix(project_id: str, recording_id: str, media_id: str) -> str:
    """Return what the keys of one media start with: its file, and what a worker that came too late wrote beside it."""
    return f"{project_id}/{recording_id}/{media_id}/"


def media_key(project_id: str, recording_id: str, media_id: str, name: str) -> str:
    """Return the key of a media file; `name` is a plain file name such as `audio.ogg`."""
    return f"{project_id}/{recording_id}/{media_id}/{name}"
