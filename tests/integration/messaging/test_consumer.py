"""Consuming on a real broker: order, retries, dead letters, and what a crash or a stop leaves behind."""

import asyncio
from collections import Counter

import pytest

from shared.domain.errors import FailureReason, PermanentFailure, TransientFailure
from shared.events.codec import decode
from shared.events.recording import UploadClaimed
from shared.events.topics import TOPICS
from shared.messaging.consumer import TooManyDeadLetters
from shared.messaging.dead_letter import DeadLetterLimit
from shared.messaging.outgoing import Message
from shared.messaging.publisher import deliver
from tests.integration.messaging.conftest import DEADLINE_S


async def test_events_of_one_recording_stay_in_order_while_others_run_beside_them(kafka, inbox, event):
    running, most = Counter(), Counter()

    async def on_upload_claimed(claimed):
        running.update([claimed.recording_id])
        most.update({"recordings": max(0, len(+running) - most["recordings"])})
        assert running[claimed.recording_id] == 1
        await asyncio.sleep(0.001)  # the work
        running.subtract([claimed.recording_id])
        await inbox(claimed)

    events = [event(number, f"rec_{recording}") for number in range(20) for recording in range(10)]
    await kafka.publisher.publish(events)
    await kafka.consume("order", {UploadClaimed: on_upload_claimed})
    await inbox.has(*(sent.event_id for sent in events))

    by_recording = {}
    for handled in inbox.events:
        by_recording.setdefault(handled.recording_id, []).append(handled.version)
    assert by_recording == {f"rec_{recording}": list(range(20)) for recording in range(10)}
    assert most["recordings"] > 1


async def test_an_event_whose_handler_died_is_delivered_again(kafka, inbox, event):
    entered = asyncio.Event()

    async def on_upload_claimed(_claimed):
        entered.set()
        await asyncio.Event().wait()  # never ends: the process is killed here

    await kafka.publisher.publish([event(1)])
    dying = await kafka.consume("crash", {UploadClaimed: on_upload_claimed})
    await entered.wait()
    await dying.stop(grace_s=0)

    await kafka.consume("crash", {UploadClaimed: inbox})
    await inbox.has("evt_rec_1_1")


async def test_poison_on_every_topic_is_dead_lettered_with_what_went_wrong_and_consuming_goes_on(kafka, inbox, event):
    await kafka.consume("stitcher", {topic.event: inbox for topic in TOPICS.values()})
    poison = [Message(name, b"rec_1", b'{"type": "' + name.encode() + b'"', [("event_id", b"evt_p")]) for name in TOPICS]
    await deliver(kafka.broker, poison)
    await kafka.publisher.publish([event(1)])

    letters = await kafka.dead_letters(len(TOPICS))
    assert {headers["x-original-topic"] for _, headers in letters} == set(TOPICS)
    record, headers = next(letter for letter in letters if letter[1]["x-original-topic"] == "upload.claimed")
    assert (record.key, record.value) == (b"rec_1", b'{"type": "upload.claimed"')
    assert headers["x-original-partition"].isdigit()
    assert headers["x-original-offset"] == "0"
    assert headers["x-error-type"] == "msgspec.DecodeError"
    assert "truncated" in headers["x-error-message"]
    assert "Traceback" in headers["x-error-stack"]
    assert (headers["x-attempts"], headers["x-service"]) == ("0", "stitcher")
    assert headers["x-failed-at"].endswith("Z")
    assert headers["event_id"] == "evt_p"
    await inbox.has("evt_rec_1_1")


@pytest.mark.parametrize("value", [b"\xff\xfe", None, b"{}", b'{"type": "recording.uploaded"}'])
async def test_whatever_is_no_event_of_the_topic_is_poison(kafka, inbox, value):
    await kafka.consume("poison", {UploadClaimed: inbox})
    await deliver(kafka.broker, [Message("upload.claimed", b"rec_1", value, [])])
    ((record, headers),) = await kafka.dead_letters(1)
    assert record.value == value
    assert headers["x-original-topic"] == "upload.claimed"


async def test_an_event_in_a_topic_of_another_type_is_poison(kafka, inbox, event):
    await kafka.consume("misrouted", {UploadClaimed: inbox, TOPICS["recording.created"].event: inbox})
    value = b'{"type":"recording.created"}'
    await deliver(
        kafka.broker,
        [Message("recording.created", b"k", await _encoded(kafka, event(1)), []), Message("upload.claimed", b"k", value, [])],
    )
    letters = await kafka.dead_letters(2)
    assert {headers["x-original-topic"] for _, headers in letters} == {"recording.created", "upload.claimed"}


async def _encoded(kafka, sent):
    await kafka.publisher.publish([sent])
    return (await kafka.read("upload.claimed", 1))[0].value


async def test_a_transient_failure_is_tried_again_until_it_succeeds(kafka, inbox, event):
    attempts = Counter()

    async def on_upload_claimed(claimed):
        attempts.update([claimed.event_id])
        if attempts[claimed.event_id] < 4:
            raise TransientFailure("the database is away")
        await inbox(claimed)

    await kafka.consume("retry", {UploadClaimed: on_upload_claimed})
    await kafka.publisher.publish([event(1), event(2)])
    await inbox.has("evt_rec_1_1", "evt_rec_1_2")
    assert inbox.ids == ["evt_rec_1_1", "evt_rec_1_2"]
    assert set(attempts.values()) == {4}


async def test_what_outlasts_its_budget_is_read_again_later_while_other_partitions_go_on(kafka, inbox, event):
    healed = asyncio.Event()

    async def on_upload_claimed(claimed):
        if claimed.recording_id == "rec_1" and not healed.is_set():
            raise TransientFailure("the object store is away")
        await inbox(claimed)

    await kafka.consume("outage", {UploadClaimed: on_upload_claimed})
    await kafka.publisher.publish([event(1), event(2)])
    others = [event(1, f"rec_{number}") for number in range(2, 12)]  # enough to meet every partition
    await kafka.publisher.publish(others)
    await inbox.has(*(other.event_id for other in others))
    assert "evt_rec_1_1" not in inbox.ids
    healed.set()
    await inbox.has("evt_rec_1_1", "evt_rec_1_2")
    own = [event_id for event_id in inbox.ids if event_id.startswith("evt_rec_1_")]
    assert own[:2] == ["evt_rec_1_1", "evt_rec_1_2"]


async def test_a_permanent_failure_is_given_up_at_once_and_an_unforeseen_one_after_a_few_attempts(kafka, inbox, event):
    async def on_upload_claimed(claimed):
        if claimed.version == 1:
            raise PermanentFailure(FailureReason.AUDIO_CORRUPT, "nothing can be done")
        if claimed.version == 2:
            raise ZeroDivisionError("a bug of ours")
        await inbox(claimed)

    await kafka.consume("stitcher", {UploadClaimed: on_upload_claimed})
    await kafka.publisher.publish([event(1), event(2), event(3)])
    await inbox.has("evt_rec_1_3")

    letters = {decode(record.value).version: headers for record, headers in await kafka.dead_letters(2)}
    assert (letters[1]["x-error-type"], letters[1]["x-attempts"]) == ("shared.domain.errors.PermanentFailure", "1")
    assert (letters[2]["x-error-type"], letters[2]["x-attempts"]) == ("builtins.ZeroDivisionError", "3")
    assert "a bug of ours" in letters[2]["x-error-stack"]


async def test_past_the_dead_letter_rate_the_consumer_stops_and_leaves_the_rest_where_it_is(kafka, inbox, event):
    async def on_upload_claimed(claimed):
        if claimed.version < 50:
            raise PermanentFailure(FailureReason.PROCESSING_ERROR, "everything fails")
        await inbox(claimed)

    limit = DeadLetterLimit(most=5, window_s=60)
    failing = await kafka.consume("flood", {UploadClaimed: on_upload_claimed}, dead_letters=limit)
    await kafka.publisher.publish([event(number) for number in range(20)])
    with pytest.raises(TooManyDeadLetters):
        await asyncio.wait_for(failing.failed, DEADLINE_S)

    await kafka.dead_letters(6)
    await kafka.consume("flood", {UploadClaimed: inbox})
    await kafka.publisher.publish([event(100)])
    await inbox.has("evt_rec_1_100")
    assert [handled.version for handled in inbox.events] == [*range(6, 20), 100]


async def test_a_stop_lets_what_runs_end_commits_it_and_leaves_the_group(kafka, inbox, event):
    release = asyncio.Event()

    async def on_upload_claimed(claimed):
        await inbox(claimed)
        await release.wait()

    stopping = await kafka.consume("stop", {UploadClaimed: on_upload_claimed})
    await kafka.publisher.publish([event(1)])
    await inbox.has("evt_rec_1_1")
    stop = asyncio.create_task(stopping.stop(grace_s=5))
    release.set()
    async with asyncio.timeout(3):
        await stop

    await kafka.consume("stop", {UploadClaimed: inbox})
    await kafka.publisher.publish([event(2)])
    await inbox.has("evt_rec_1_2")
    assert inbox.ids == ["evt_rec_1_1", "evt_rec_1_2"]


async def test_a_second_member_takes_over_without_losing_or_repeating_what_was_committed(kafka, inbox, event):
    await kafka.consume("scale", {UploadClaimed: inbox})
    first = [event(1, f"rec_{number}") for number in range(20)]
    await kafka.publisher.publish(first)
    await inbox.has(*(sent.event_id for sent in first))
    await kafka.consume("scale", {UploadClaimed: inbox})
    second = [event(2, f"rec_{number}") for number in range(20)]
    await kafka.publisher.publish(second)
    await inbox.has(*(sent.event_id for sent in second))
    assert Counter(inbox.ids) == Counter(sent.event_id for sent in [*first, *second])
