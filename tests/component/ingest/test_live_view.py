"""The live view of a recording: what was, then what comes; resumable, in order, each event once (A26)."""

import asyncio
import contextlib
import json

import msgspec
import pytest

from services.ingest.live.follow import BATCH, FollowRecording, Sources
from services.ingest.live.hub import Hub
from services.ingest.live.ports import LiveRules
from services.ingest.refusals import NotFound, TooManyStreams, Unauthorized
from shared.domain.caller import SCOPES
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.recording import RecordingStatus
from shared.domain.transcription import TranscriptionProgress, TranscriptionStatus
from shared.events.recording import RecordingCreated, RecordingDeleted, RecordingFailed, recording_event, upload_claimed
from tests.fakes.event_log import FakeEventLog
from tests.fakes.ingest import FakeRecordings, FakeTranscriptions, FakeTranscripts
from tests.fakes.webhook_facts import TENANT, a_completion, a_recording, a_transcript, a_transcription

SOON_S = 5.0
QUICK = LiveRules(streams_per_project=3, heartbeat_s=0.2, look_s=0.02, progress_look_s=0.02)
PATIENT = LiveRules(streams_per_project=3, heartbeat_s=60.0, look_s=60.0, idle_look_s=60.0)


class Someone:
    """Whoever calls."""

    def __init__(self, tenant=TENANT, scopes=SCOPES):
        self.tenant, self.scopes = tenant, set(scopes)
        self.error = None

    def may(self, scope):
        return scope in self.scopes

    def sees(self, _recording):
        return True

    async def __call__(self, _authorization):
        if self.error is not None:
            raise self.error
        return self


class World:
    """One recording, its kept events, and who follows it."""

    def __init__(self):
        self.recordings, self.log, self.transcripts = FakeRecordings(), FakeEventLog(), FakeTranscripts()
        self.caller, self.hub = Someone(), Hub(QUICK)
        self.transcriptions = FakeTranscriptions()
        self.recording = a_recording(status=RecordingStatus.PENDING)
        self.recordings.documents[self.recording.id] = self.recording
        self.version = 0

    def event(self, kind=RecordingCreated):
        self.version += 1
        return recording_event(kind, msgspec.structs.replace(self.recording, version=self.version))

    def happens(self, kind=RecordingCreated, *, heard=True):
        event = self.event(kind)
        self.log.keep(event)
        if heard:
            self.hub.heard(self.recording.id)
        return event.event_id

    @contextlib.asynccontextmanager
    async def followed(self, since=None, rules=QUICK):
        sources = Sources(
            recordings=self.recordings,
            transcriptions=self.transcriptions,
            log=self.log,
            transcripts=self.transcripts,
            credentials=self.caller,
            hub=self.hub,
            rules=rules,
        )
        stream = await FollowRecording(sources)(self.caller, "Bearer x", self.recording.id, since)
        reader = Reader(stream)
        try:
            yield reader
        finally:
            stream.leave()
            stream.close()


class Reader:
    """Reads a stream as a client does."""

    def __init__(self, stream):
        self.stream = stream
        self._frames = stream.frames()

    async def frame(self):
        async with asyncio.timeout(SOON_S):
            return (await anext(self._frames)).decode()

    async def events(self, count):
        """Return the next events as (id, type, body)."""
        async with asyncio.timeout(SOON_S):
            return [await self._event() for _ in range(count)]

    async def _event(self):
        while not (frame := await self.frame()).startswith("id: "):
            pass
        assert frame.endswith("\n\n")
        fields = dict(line.split(": ", 1) for line in frame.rstrip("\n").split("\n"))
        return fields["id"], fields["event"], json.loads(fields["data"])

    async def ids(self, count):
        return [event_id for event_id, _, _ in await self.events(count)]

    async def rest(self):
        """Return what comes until the stream ends."""
        async with asyncio.timeout(SOON_S):
            return [frame async for frame in self._frames]


@pytest.fixture
def world():
    return World()


async def test_what_was_comes_first_and_then_what_happens(world):
    before = [world.happens() for _ in range(3)]
    async with world.followed() as reader:
        assert (await reader.frame()).startswith("retry: ")
        assert await reader.ids(3) == before
        made_now = world.happens()
        assert await reader.ids(1) == [made_now]


async def test_an_event_carries_what_a_webhook_would(world):
    event_id = world.happens()
    async with world.followed() as reader:
        ((shown, kind, body),) = await reader.events(1)
    assert (shown, kind) == (event_id, "recording.created")
    assert (body["id"], body["type"], body["data"]["id"]) == (event_id, kind, world.recording.id)


@pytest.mark.parametrize("position", range(4))
async def test_from_each_event_on_exactly_the_rest_comes(world, position):
    made = [world.happens() for _ in range(4)]
    async with world.followed(made[position]) as reader:
        made.append(world.happens())
        assert await reader.ids(4 - position) == made[position + 1 :]


async def test_of_an_event_that_was_kept_anew_what_came_meanwhile_is_told_and_itself_not_again(world):
    known, between, later = (world.event() for _ in range(3))
    world.log.keep(between, position=5 << 32)
    world.log.keep(known, position=9 << 32, first=2 << 32)
    world.log.keep(later, position=10 << 32)
    async with world.followed(known.event_id) as reader:
        assert await reader.ids(2) == [between.event_id, later.event_id]


@pytest.mark.parametrize("since", ["evt_unknown", "", "\N{SNOWMAN}" * 200])
async def test_an_event_that_is_not_known_begins_from_the_first(world, since):
    made = [world.happens() for _ in range(2)]
    async with world.followed(since) as reader:
        assert await reader.ids(2) == made


async def test_more_events_than_are_read_at_once_all_come_once(world):
    made = [world.happens() for _ in range(2 * BATCH + 3)]
    async with world.followed() as reader:
        assert await reader.ids(len(made)) == made
        made_now = world.happens()
        assert await reader.ids(1) == [made_now]


async def test_an_event_that_becomes_readable_late_is_not_missed_nor_another_sent_twice(world):
    world.log.keep(world.event(), position=100 << 32)
    async with world.followed() as reader:
        await reader.ids(1)
        late = world.event()
        world.log.keep(late, position=(100 << 32) - 7)
        last = world.happens()
        assert await reader.ids(2) == [late.event_id, last]


async def test_internal_events_are_not_shown(world):
    world.log.keep(upload_claimed(msgspec.structs.replace(world.recording, version=99)))
    public = world.happens()
    async with world.followed() as reader:
        assert await reader.ids(1) == [public]


async def test_a_word_from_the_broker_is_enough(world):
    world.hub.hearing(well=True)
    async with world.followed(rules=PATIENT) as reader:
        await reader.frame()
        waiting = asyncio.create_task(reader.ids(1))
        await asyncio.sleep(0)
        made = world.happens()
        assert await waiting == [made]


async def test_without_the_broker_the_kept_events_are_looked_at(world):
    async with world.followed() as reader:
        await reader.frame()
        made_now = world.happens(heard=False)
        assert await reader.ids(1) == [made_now]


async def test_when_the_broker_is_back_everybody_looks_once(world):
    async with world.followed(rules=PATIENT) as reader:
        await reader.frame()
        made = world.happens(heard=False)
        world.hub.hearing(well=True)
        assert await reader.ids(1) == [made]


async def test_while_events_cannot_be_read_the_stream_stays(world):
    world.log.down = True
    made = world.happens()
    async with world.followed() as reader:
        while not (await reader.frame()).startswith(": "):
            pass
        world.log.down = False
        assert await reader.ids(1) == [made]


async def test_a_deleted_recording_is_the_last_that_is_heard_of_it(world):
    made = [world.happens(), world.happens(RecordingDeleted)]
    world.happens(RecordingFailed)
    async with world.followed() as reader:
        assert await reader.ids(2) == made
        assert await reader.rest() == []
        assert reader.stream.ended == "deleted"


async def test_nothing_happening_is_said_now_and_then(world):
    async with world.followed() as reader:
        await reader.frame()
        assert await reader.frame() == ": nothing new\n\n"


async def test_a_revoked_credential_ends_the_stream_at_the_next_beat(world):
    async with world.followed() as reader:
        await reader.frame()
        world.caller.error = Unauthorized("revoked")
        await reader.rest()
        assert reader.stream.ended == "revoked"


async def test_a_revoked_credential_ends_a_stream_that_is_never_quiet_too(world):
    async def read_on(reader):
        while True:
            world.happens()
            await reader.frame()
            await asyncio.sleep(0.001)

    async with world.followed() as reader:
        world.caller.error = Unauthorized("revoked")
        with pytest.raises(StopAsyncIteration):
            async with asyncio.timeout(SOON_S):
                await read_on(reader)
        assert reader.stream.ended == "revoked"


async def test_so_does_one_that_lost_its_scope_but_not_one_that_cannot_be_asked(world):
    async with world.followed() as reader:
        await reader.frame()
        world.caller.error = TransientFailure("away")
        assert await reader.frame() == ": nothing new\n\n"
        world.caller.error = None
        world.caller.scopes.clear()
        await reader.rest()
        assert reader.stream.ended == "revoked"


async def test_a_drain_ends_every_stream_at_once(world):
    draining = asyncio.Event()
    closing = asyncio.create_task(world.hub.close_when(draining))
    world.hub.hearing(well=True)
    async with world.followed(rules=PATIENT) as reader:
        await reader.frame()
        rest = asyncio.create_task(reader.rest())
        draining.set()
        assert await rest == []
        assert reader.stream.ended == "draining"
    await closing


async def test_a_project_has_so_many_places_and_gets_them_back(world):
    async with world.followed(), world.followed():
        async with world.followed():
            with pytest.raises(TooManyStreams):
                async with world.followed():
                    pass
        async with world.followed():
            pass


async def test_a_recording_that_is_not_there_takes_no_place(world):
    world.recordings.documents.clear()
    for _ in range(5):
        with pytest.raises(NotFound):
            async with world.followed():
                pass


async def test_the_broker_is_listened_to_while_somebody_follows(world):
    assert not world.hub.wanted.is_set()
    async with world.followed():
        assert world.hub.wanted.is_set()


@pytest.mark.parametrize(("scopes", "shown"), [(SCOPES, True), (("recordings:read",), False)])
async def test_text_is_shown_to_those_who_may_read_it(world, scopes, shown):
    world.caller.scopes = set(scopes)
    transcription = a_transcription()
    world.transcripts.kept[TENANT, transcription.id] = a_transcript()
    event = msgspec.structs.replace(a_completion(transcription), recording_id=world.recording.id)
    world.log.keep(event)
    async with world.followed() as reader:
        ((_, _, body),) = await reader.events(1)
    assert ("text" in body["data"]) is shown
    assert body["data"].get("truncated", False) is not shown


async def test_over_http_it_is_an_event_stream(api):
    recording = await api.recording()
    kept = api.stores.recordings.documents[recording["id"]]
    made = [recording_event(RecordingCreated, kept), recording_event(RecordingDeleted, kept)]
    api.stores.events.keep(*made)
    response = await api.call("GET", f"/recordings/{recording['id']}/events")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-accel-buffering"] == "no"
    assert "no-cache" in response.headers["cache-control"]
    assert response.headers["x-request-id"]
    assert [line for line in response.text.split("\n") if line.startswith("id: ")] == [f"id: {event.event_id}" for event in made]
    resumed = await api.call("GET", f"/recordings/{recording['id']}/events", headers={"Last-Event-ID": made[0].event_id})
    assert made[0].event_id not in resumed.text
    assert made[1].event_id in resumed.text


async def test_over_http_strangers_learn_nothing(api):
    recording = await api.recording()
    test_mode = await api.new_key(api.project_id, mode="test")
    assert (await api.refused("GET", f"/recordings/{recording['id']}/events", secret=test_mode))[:2] == (404, "not_found")
    other = await api.new_key(api.project_id, scopes=["recordings:write"])
    assert (await api.refused("GET", f"/recordings/{recording['id']}/events", secret=other))[:2] == (403, "forbidden")


def transcribing(world, percent):
    """Show how far the recording's transcription is."""
    present = world.transcriptions.documents.get("txn_1") or msgspec.structs.replace(
        a_transcription(), id="txn_1", recording_id=world.recording.id, status=TranscriptionStatus.PROCESSING, active=True
    )
    progress = TranscriptionProgress(percent=percent, stage="transcribing", estimated_completion_at=None, updated_at=now())
    world.transcriptions.documents["txn_1"] = msgspec.structs.replace(present, progress=progress)


async def progress_of(reader):
    async with asyncio.timeout(SOON_S):
        while not (frame := await reader.frame()).startswith("event: transcription.progress"):
            pass
    return json.loads(frame.partition("data: ")[2])["data"]["progress"]["percent"]


async def test_the_progress_of_a_running_transcription_is_told_as_it_changes_without_an_id(world):
    transcribing(world, 10)
    async with world.followed() as reader:
        assert await progress_of(reader) == 10
        transcribing(world, 55)
        assert await progress_of(reader) == 55


async def test_nothing_is_looked_up_while_nothing_is_transcribed(world):
    looks = 0

    async def newest_of(_tenant, _recording_id):
        nonlocal looks
        looks += 1

    world.transcriptions.newest_of = newest_of
    async with world.followed() as reader:
        for _ in range(6):  # heartbeats
            await reader.frame()
    assert looks == 1
