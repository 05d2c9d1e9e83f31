"""Awaiting facts: what a recording comes to, which statuses it shows on the way, and what its owner's server hears."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from tests.e2e.client import Project
from tests.fakes.webhook_receiver import Heard, Receiver, assert_signed

DEADLINE_S = 180.0  # Whisper works at a low priority: on a busy machine it may wait long
LOOK_S = 0.02
_ENDS = {"completed", "failed", "integrity_failure"}

STREAMED = (
    "recording.created",
    "recording.uploaded",
    "recording.stitched",
    "transcription.queued",
    "transcription.started",
    "transcription.completed",
)
"""What befalls a recording that is transcribed, in order."""


async def until(fact: Callable[[], bool], within_s: float = DEADLINE_S) -> None:
    """Return once `fact` holds; what it asks may block for a moment."""
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(fact):
            await asyncio.sleep(LOOK_S)


async def becomes(
    project: Project, recording_id: str, wanted: Callable[[dict[str, Any]], bool], within_s: float = DEADLINE_S
) -> dict[str, Any]:
    """Return the recording once it is as wanted; fail at once when it has failed instead."""
    recording: dict[str, Any] = {}
    try:
        async with asyncio.timeout(within_s):
            while not wanted(recording := await project.get(recording_id)):
                assert recording["status"] not in ("failed", "integrity_failure"), recording["error"]
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise AssertionError(f"not in {within_s} s: {recording}") from None
    return recording


async def completed(project: Project, recording_id: str, within_s: float = DEADLINE_S) -> dict[str, Any]:
    """Return the recording once it is completed."""
    return await becomes(project, recording_id, lambda recording: recording["status"] == "completed", within_s)


async def stitched(project: Project, recording_id: str, within_s: float = DEADLINE_S) -> dict[str, Any]:
    """Return the recording once its chunks are joined."""
    return await becomes(project, recording_id, is_stitched, within_s)


async def failed(project: Project, recording_id: str, status: str = "failed") -> dict[str, Any]:
    """Return the recording once it has failed in this way."""
    return await becomes(project, recording_id, lambda recording: recording["status"] == status)


def is_stitched(recording: dict[str, Any]) -> bool:
    """Whether its chunks are joined."""
    return bool(recording["stitching"]) and recording["stitching"]["status"] == "completed"


class History:
    """Every status that a recording showed while it was looked at, each once in a row."""

    def __init__(self, project: Project, recording_id: str) -> None:
        self._project, self._id = project, recording_id
        self.statuses: list[str] = []
        self.stitching: list[str] = []
        self._watching = asyncio.create_task(self._watch())

    async def ended(self) -> None:
        """Return when the recording has come to its end, whatever that was."""
        await self._watching

    async def _watch(self) -> None:
        while not {*self.statuses} & _ENDS:
            recording = await self._project.get(self._id)
            _note(self.statuses, recording["status"])
            _note(self.stitching, (recording["stitching"] or {}).get("status"))
            await asyncio.sleep(LOOK_S)


def _note(seen: list[str], value: str | None) -> None:
    if value is not None and seen[-1:] != [value]:
        seen.append(value)


def in_order(seen: Iterable[str], whole: Iterable[str]) -> bool:
    """Whether all that was seen stands in `whole` in the same order; a look may miss what is short."""
    rest = iter(whole)
    return all(one in rest for one in seen)


class Listener:
    """A webhook endpoint of the project, with its secret, at a receiver."""

    def __init__(self, receiver: Receiver, endpoint: dict[str, Any]) -> None:
        self.receiver, self.id, self.secret = receiver, endpoint["id"], endpoint["secret"]
        self._path = endpoint["url"].partition(f":{receiver.port}")[2]

    @classmethod
    async def at(cls, receiver: Receiver, project: Project, *events: str, path: str = "/hook") -> "Listener":
        """Register an endpoint; `events` is everything when none is named."""
        return cls(receiver, await project.endpoint(receiver.url(path), *events))

    @property
    def heard(self) -> list[Heard]:
        """Every request so far."""
        return [heard for heard in self.receiver.heard if heard.path == self._path]

    def of(self, recording_id: str) -> list[Heard]:
        """Every request about a recording or its transcriptions."""
        return [heard for heard in self.heard if recording_of(heard) == recording_id]

    def types(self, recording_id: str) -> list[str]:
        """The types of the events heard about a recording, in the order in which they happened."""
        return [heard.json["type"] for heard in sorted(self.of(recording_id), key=lambda heard: heard.json["created_at"])]

    async def hears(self, recording_id: str, *types: str, within_s: float = DEADLINE_S) -> list[Heard]:
        """Return what was heard of a recording once every one of `types` was; every request is signed."""
        try:
            async with asyncio.timeout(within_s):
                while not set(types) <= set(self.types(recording_id)):
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"heard only {self.types(recording_id)}") from None
        for heard in self.of(recording_id):
            assert_signed(self.secret, heard)
        return self.of(recording_id)

    def event(self, recording_id: str, kind: str) -> dict[str, Any]:
        """The one event of a type heard about a recording; if it came more than once, it was the same each time."""
        bodies = {heard.body: heard.json for heard in self.of(recording_id) if heard.json["type"] == kind}
        (body,) = bodies.values()
        return body

    def assert_repeats_are_equal(self) -> None:
        """What came more than once came with the same id and the same bytes."""
        bodies: dict[str, set[bytes]] = {}
        for heard in self.heard:
            bodies.setdefault(heard.header("webhook-id"), set()).add(heard.body)
        assert {event_id: len(found) for event_id, found in bodies.items() if len(found) > 1} == {}


def recording_of(heard: Heard) -> str:
    """The recording that a webhook is about."""
    data = heard.json["data"]
    return data["recording_id"] if heard.json["type"].startswith("transcription.") else data["id"]
