"""What `make up` says at its end: where the API is, the key to it, and three lines to try at once."""

import json
from pathlib import Path

from deploy.local.api import Api, end_user
from deploy.local.chores import SAMPLES
from deploy.local.demo.speech import ogg_opus, samples_of
from deploy.local.sample_speech import reading
from deploy.local.servers.ports import HOST
from deploy.local.state import State
from shared.packages import PackageUnavailable

_DURATION_MS = 26_730  # of the reading


def introduction(state: State, folder: Path) -> str:
    """Return the text; a recording is opened for its lines."""
    url = f"http://{HOST}:{state.plan.ports['ingest']}"
    lines = [
        f"API    {url}",
        f"key    {state.api_key}",
        f"admin  {state.plan.admin_token}",
        f"logs   {folder}/services/*/*.log",
        "",
    ]
    with_key = f"curl -s -H 'Authorization: Bearer {state.api_key}'"
    try:
        return "\n".join(lines + _upload_lines(Api(url, state.api_key), with_key, sample_file(folder)))
    except PackageUnavailable:  # offline, and never here before: there is nothing to upload
        return "\n".join(lines + [f"{with_key} {url}{path}" for path in ("/health", "/v1/recordings", "/v1/webhook-endpoints")])


def _upload_lines(api: Api, with_key: str, sample: Path) -> list[str]:
    size = sample.stat().st_size
    recording = api.post("/v1/recordings", {"name": "a try", "end_user_id": end_user(api, "somebody"), "streaming": True})
    chunk = recording["chunk_upload_url_template"].replace("{chunk_number}", "1")
    url = f"{api.url}/v1/recordings/{recording['id']}"
    closing = json.dumps({"total_chunks": 1, "final_duration_ms": _DURATION_MS, "final_file_size_bytes": size})
    return [
        "Upload a recording of speech, close it, see what became of it:",
        "",
        f"curl -s -T {sample} '{chunk}'",
        f"""{with_key} -H 'Content-Type: application/json' -d '{closing}' {url}/finalize""",
        f"{with_key} {url}",
        "",
        f"Once it is completed, its transcription_id has the text at {api.url}/v1/transcriptions/<transcription_id>.",
    ]


def sample_file(folder: Path) -> Path:
    """Return an Ogg-Opus file of real speech."""
    path = folder / "reading.ogg"
    if not path.exists():
        speech = ogg_opus(samples_of(reading(SAMPLES).path))
        path.write_bytes(speech)
    return path
