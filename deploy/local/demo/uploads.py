"""The two ways audio comes in, as a device and as an app use them."""

import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.local.api import Api, end_user

_TIMEOUT_S = 30.0
_USER = "speaker"


def put(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """PUT bytes; raises when they are not taken."""
    request = urllib.request.Request(url, method="PUT", data=body, headers=dict(headers))  # noqa: S310  # handed out by our API
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
        answer.read()


def open_streaming(api: Api, name: str) -> dict[str, Any]:
    """Open a recording for chunks."""
    return api.post("/v1/recordings", {"name": name, "end_user_id": end_user(api, _USER), "streaming": True})


def stream(api: Api, recording: Mapping[str, Any], chunks: Sequence[bytes], duration_ms: int) -> None:
    """PUT the chunks as a shaky network delivers them: even ones first, from the end, the last one twice; then finalize."""
    numbers = list(range(1, len(chunks) + 1))
    for number in (*reversed(numbers[1::2]), *numbers[::2], numbers[-1]):
        url = recording["chunk_upload_url_template"].replace("{chunk_number}", str(number))
        put(url, chunks[number - 1], {"Content-Type": "audio/ogg"})
    closing = {"total_chunks": len(chunks), "final_duration_ms": duration_ms, "final_file_size_bytes": sum(map(len, chunks))}
    api.post(f"/v1/recordings/{recording['id']}/finalize", closing)


def open_whole(api: Api, name: str) -> dict[str, Any]:
    """Open a recording for one file."""
    return api.post("/v1/recordings", {"name": name, "end_user_id": end_user(api, _USER)})


def upload_whole(api: Api, recording: Mapping[str, Any], file: bytes) -> None:
    """Ask for a pre-signed URL, PUT the file to the object store, past the API, and say that it is there."""
    wanted = {"type": "audio", "content_type": "audio/ogg", "file_size_bytes": len(file)}
    offer = api.post(f"/v1/recordings/{recording['id']}/upload-url", wanted)
    put(offer["upload_url"], file, offer["headers"])
    api.post(f"/v1/recordings/{recording['id']}/upload-complete", {})
