"""The relay: every event in an outbox is kept and published, whatever breaks in between, and in order per recording."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.ids import new_id
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcription import TranscriptionRequest, queued_transcription
from shared.domain.transition import TransitionRefused
from shared.events.recording import RecordingCreated, recording_event, recording_uploaded
from shared.events.transcription import TranscriptionQueued, transcription_event
from shared.messaging.relay import Relay
from tests.fakes.aggregates import FakeAggregates
from tests.fakes.counts import counted


class World:
    """Keeper, publisher and reflector that write down what they are told, and fail on demand."""

    def __init__(self):
        self.shown, self.kept, self.published, self.reflected, self.rounds = [], {}, [], [], []
        self.broken = set()
        self.gate = asyncio.Event()
        self.gate.set()

    async def show(self, events):
        self._check("show")
        self.shown += events

    async def keep(self, events):
        self._check("keep")
        for event in events:
            self.kept.setdefault(event.event_id, event)

    async def publish(self, events):
        self._check("publish")
        await self.gate.wait()
        assert all(event in self.shown or event.event_id in self.kept for event in events)
        self.published += events
        self.rounds.append(len(events))

    async def reflect_all(self, events):
        self._check("reflect")
        self.reflected += events
        return {event.event_id: TransitionRefused("rec_1", "failed", "processing") for event in events if "refuse" in self.broken}

    def _check(self, what):
        if what in self.broken:
            raise TransientFailure(f"{what} is broken")


def a_recording():
    return Recording(
        id=new_id("rec"), project_id="p", mode=Mode.LIVE, status=RecordingStatus.PENDING, created_at=now(), updated_at=now()
    )


async def until(fact, within_s=20.0):
    async with asyncio.timeout(within_s):
        while not fact():
            await asyncio.sleep(0.005)


@pytest.fixture
async def scene(request):
    """Sweeps often, unless another number of seconds is asked for: a machine that is slow finds events left behind by then."""
    recordings, world = FakeAggregates(), World()
    relay = Relay([recordings], world, world, world, sweep_s=getattr(request, "param", 0.05))
    task = asyncio.create_task(relay.run())
    yield recordings, world, relay
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_nudged_event_is_kept_published_and_taken_out(scene):
    recordings, world, relay = scene
    recording = a_recording()
    event = recording_event(RecordingCreated, recording)
    await recordings.add(recording, event)
    relay.nudge("recordings", recording.id, [event])
    await until(lambda: not recordings.outbox[recording.id])
    assert world.published == [event]
    assert set(world.kept) == {event.event_id}


@pytest.mark.parametrize("scene", [60.0], indirect=True)
async def test_events_of_one_recording_leave_in_order(scene):
    recordings, world, relay = scene
    recording = a_recording()
    events = [recording_event(RecordingCreated, recording)]
    await recordings.add(recording, events[0])
    relay.nudge("recordings", recording.id, events)
    for _ in range(20):
        after = recording.changed()
        events.append(recording_uploaded(after, 1))
        await recordings.save(recording, after, events[-1])
        relay.nudge("recordings", recording.id, events[-1:])
        recording = after
    await until(lambda: len(world.published) >= len(events))
    assert world.published == events


async def test_the_first_event_leaves_at_once_and_what_comes_meanwhile_together(scene):
    recordings, world, relay = scene
    world.gate.clear()
    for number in range(10):
        recording = a_recording()
        event = recording_event(RecordingCreated, recording)
        await recordings.add(recording, event)
        relay.nudge("recordings", recording.id, [event])
        if not number:
            await until(lambda: world.shown)
    world.gate.set()
    await until(lambda: len(world.published) == 10)
    assert world.rounds == [1, 9]


@pytest.mark.parametrize("broken", ["show", "keep", "publish", "reflect"])
async def test_what_could_not_leave_is_swept_up_later(scene, broken):
    recordings, world, relay = scene
    transcription = queued_transcription(new_id("txn"), a_recording(), TranscriptionRequest())
    event = transcription_event(TranscriptionQueued, transcription)
    await recordings.add(transcription, event)
    world.broken.add(broken)
    relay.nudge("recordings", transcription.id, [event])
    await relay.drain(1)
    assert recordings.outbox[transcription.id] == [event]
    world.broken.clear()
    await until(lambda: not recordings.outbox[transcription.id])
    assert event in world.published


async def test_what_a_crash_left_without_a_nudge_is_swept_up(scene):
    recordings, world, _ = scene
    recording = a_recording()
    event = recording_event(RecordingCreated, recording)
    await recordings.add(recording, event)
    await until(lambda: world.published == [event])


async def test_an_outbox_that_does_not_answer_delays_but_loses_nothing(scene):
    recordings, world, relay = scene
    recording = a_recording()
    event = recording_event(RecordingCreated, recording)
    await recordings.add(recording, event)
    recordings.down = True
    relay.nudge("recordings", recording.id, [event])
    await until(lambda: world.published)
    recordings.down = False
    await until(lambda: not recordings.outbox[recording.id])
    assert {published.event_id for published in world.published} == {event.event_id}


async def test_a_refused_reflection_does_not_hold_the_event_back(scene):
    recordings, world, relay = scene
    transcription = queued_transcription(new_id("txn"), a_recording(), TranscriptionRequest())
    event = transcription_event(TranscriptionQueued, transcription)
    await recordings.add(transcription, event)
    world.broken.add("refuse")
    relay.nudge("recordings", transcription.id, [event])
    await until(lambda: world.published == [event])


async def test_a_recording_is_in_line_before_anybody_hears_of_its_transcription(scene):
    recordings, world, relay = scene
    transcription = queued_transcription(new_id("txn"), a_recording(), TranscriptionRequest())
    event = transcription_event(TranscriptionQueued, transcription)
    await recordings.add(transcription, event)
    world.broken.add("publish")
    relay.nudge("recordings", transcription.id, [event])
    await until(lambda: world.reflected)
    assert not world.published


async def test_what_was_published_is_counted_with_the_time_it_waited(scene):
    recordings, world, _ = scene
    published, waited = counted("outbox_published_total", event="recording.created"), counted("outbox_lag_seconds_sum")
    measured = counted("outbox_lag_seconds_count")
    recording = a_recording()
    event = msgspec.structs.replace(recording_event(RecordingCreated, recording), occurred_at=now() - timedelta(seconds=7))
    world.broken.add("publish")
    await recordings.add(recording, event)
    await until(lambda: world.shown)
    assert counted("outbox_published_total", event="recording.created") == published
    world.broken.clear()
    await until(lambda: not recordings.outbox[recording.id])
    assert counted("outbox_published_total", event="recording.created") == published + 1
    assert counted("outbox_lag_seconds_count") == measured + 1
    assert 7 <= counted("outbox_lag_seconds_sum") - waited < 30


async def test_nothing_leaves_its_outbox_before_it_is_kept(scene):
    recordings, world, relay = scene
    recording = a_recording()
    event = recording_event(RecordingCreated, recording)
    await recordings.add(recording, event)
    world.broken.add("keep")
    relay.nudge("recordings", recording.id, [event])
    await until(lambda: len(world.published) > 1)  # by the relay, then by a sweep
    assert recordings.outbox[recording.id] == [event]
    world.broken.clear()
    await until(lambda: not recordings.outbox[recording.id])
    assert set(world.kept) == {event.event_id}


@pytest.mark.parametrize(("hurried", "events"), [(True, 9), (False, 1)])
async def test_many_events_and_those_that_nobody_is_in_a_hurry_for_are_kept_before_they_leave(hurried, events):
    recordings, world = FakeAggregates(), World()
    relay = Relay((recordings,), world, world, world, hurried=hurried)
    waiting = [a_recording() for _ in range(events)]
    for recording in waiting:
        await recordings.add(recording, recording_event(RecordingCreated, recording))
    world.broken.add("keep")
    for recording in waiting:
        relay.nudge("recordings", recording.id, recordings.outbox[recording.id])
    running = asyncio.create_task(relay.run())
    await relay.drain(1)
    assert (world.shown, world.published) == ([], [])
    world.broken.clear()
    assert await relay.sweep(now()) == events
    await relay.drain(1)
    running.cancel()
    assert len(world.kept) == len(world.published) == events
    assert not any(recordings.outbox.values())


class Unforeseen(World):
    """A reflector that cannot cope with one recording."""

    poisoned = ""

    async def reflect_all(self, events):
        if any(event.recording_id == self.poisoned for event in events):
            raise ValueError("a document this release cannot read")
        return await super().reflect_all(events)


async def test_what_cannot_be_published_for_a_reason_nobody_foresaw_keeps_back_nothing_else():
    recordings, world = FakeAggregates(), Unforeseen()
    relay = Relay([recordings], world, world, world, sweep_s=0.05)
    events = []
    for _ in range(5):
        transcription = queued_transcription(new_id("txn"), a_recording(), TranscriptionRequest())
        events.append(transcription_event(TranscriptionQueued, transcription))
        await recordings.add(transcription, events[-1])
    world.poisoned = events[2].recording_id
    running = asyncio.create_task(relay.run())
    await until(lambda: len({event.event_id for event in world.published}) == 4)
    nudged = a_recording()
    created = recording_event(RecordingCreated, nudged)
    await recordings.add(nudged, created)
    relay.nudge("recordings", nudged.id, [created])
    await until(lambda: created in world.published)
    await until(lambda: [waiting for waiting in recordings.outbox.values() if waiting] == [[events[2]]])
    assert not running.done()
    world.poisoned = ""
    await until(lambda: not any(recordings.outbox.values()))
    running.cancel()


async def test_while_nothing_can_be_published_what_every_collection_holds_is_kept():
    recordings, transcriptions, world = FakeAggregates(), FakeAggregates("transcriptions"), World()
    relay = Relay([recordings, transcriptions], world, world, world)
    recording = a_recording()
    transcription = queued_transcription(new_id("txn"), recording, TranscriptionRequest())
    events = [recording_event(RecordingCreated, recording), transcription_event(TranscriptionQueued, transcription)]
    await recordings.add(recording, events[0])
    await transcriptions.add(transcription, events[1])
    world.broken.add("publish")
    with pytest.raises(TransientFailure):
        await relay.sweep(now() + timedelta(seconds=1))
    assert world.shown == events
