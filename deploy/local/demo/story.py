"""What happens in the demo once the platform runs."""

import time
from typing import Any

import msgspec
from rich.console import Console

from deploy.local.api import Api
from deploy.local.demo.board import Board
from deploy.local.demo.receiver import Receiver
from deploy.local.demo.speech import RATE, Samples, chunked, ogg_opus
from deploy.local.demo.uploads import open_streaming, open_whole, stream, upload_whole

CHUNKS = 10
EVENTS = (
    "recording.created",
    "recording.uploaded",
    "recording.stitched",
    "transcription.queued",
    "transcription.started",
    "transcription.completed",
)
_DEADLINE_S = 180.0
_POLL_S = 0.1
_FAILED = ("failed", "integrity_failure")


class DemoFailed(Exception):
    """Something did not come out as promised."""


class Speech(msgspec.Struct, frozen=True):
    """The two recordings, encoded: one in chunks, one as a file."""

    chunks: list[bytes]
    duration_ms: int
    file: bytes


def speech_of(streamed: Samples, whole: Samples) -> Speech:
    """Encode both."""
    return Speech(list(chunked(streamed, CHUNKS)), len(streamed) * 1000 // RATE, ogg_opus(whole))


def play(api: Api, project_id: str, receiver: Receiver, board: Board, speech: Speech) -> list[str]:
    """Upload both recordings and follow them to the end; return their ids."""
    endpoint = api.post("/v1/webhook-endpoints", {"url": receiver.url, "events": list(EVENTS)})
    receiver.secret = endpoint["secret"]
    board.say(f"webhook endpoint {endpoint['id']} at {receiver.url}")
    streamed = _announced(board, open_streaming(api, "reading"), f"reading, {CHUNKS} chunks")
    api.put(f"/v1/projects/{project_id}/config/processing", {"auto_transcription": {"enabled": True}})
    whole = _announced(board, open_whole(api, "conversation"), "conversation, whole")
    stream(api, streamed, speech.chunks, speech.duration_ms)
    board.say(f"{CHUNKS} chunks uploaded out of order, one of them twice; finalized")
    upload_whole(api, whole, speech.file)
    board.say("one file uploaded through a pre-signed URL; completed; automatic transcription is on")
    recordings = [streamed["id"], whole["id"]]
    _follow(api, recordings, board)
    return recordings


def _announced(board: Board, recording: dict[str, Any], label: str) -> dict[str, Any]:
    board.follow(recording["id"], label)
    board.status(recording["id"], recording["status"])
    return recording


def _follow(api: Api, recordings: list[str], board: Board) -> None:
    """Watch until every recording is completed and every event of it was heard."""
    deadline = time.monotonic() + _DEADLINE_S
    waiting = set(recordings)
    while waiting:
        for recording_id in sorted(waiting):
            recording = api.get(f"/v1/recordings/{recording_id}")
            board.status(recording_id, recording["status"])
            if recording["status"] in _FAILED:
                raise DemoFailed(f"{recording_id} failed: {recording['error']}")
            if recording["status"] == "completed" and board.events_of(recording_id) >= set(EVENTS):
                waiting.discard(recording_id)
        if time.monotonic() > deadline:
            heard = {recording_id: sorted(board.events_of(recording_id)) for recording_id in waiting}
            raise DemoFailed(f"not finished within {_DEADLINE_S:.0f} s; heard so far: {heard}")
        time.sleep(_POLL_S)
    if board.forged:
        raise DemoFailed(f"{board.forged} webhooks had a wrong signature")


def print_transcript(api: Api, recording_id: str, console: Console) -> None:
    """Print what was said, with times."""
    recording = api.get(f"/v1/recordings/{recording_id}")
    transcription = api.get(f"/v1/transcriptions/{recording['transcription_id']}")
    language, seconds = transcription["language"], recording["duration_ms"] / 1000
    console.print(f"\n[bold]{recording['name']}[/]  {seconds:.1f} s, language {language}", highlight=False)
    for segment in transcription["segments"]:
        console.print(f"  [dim]{segment['start']:6.2f} - {segment['end']:6.2f}[/]  {segment['text'].strip()}", highlight=False)
