"""Publishing on a real broker."""

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from shared.events.codec import decode
from shared.messaging.outgoing import Message
from shared.messaging.publisher import deliver


async def test_an_event_goes_to_the_topic_of_its_type_keyed_by_its_recording(kafka, event):
    await kafka.publisher.publish([event(1)])
    (record,) = await kafka.read("upload.claimed", 1)
    assert record.key == b"rec_1"
    assert decode(record.value) == event(1) or decode(record.value).event_id == "evt_rec_1_1"
    assert ("event_id", b"evt_rec_1_1") in record.headers


async def test_a_thousand_events_keep_their_order_per_recording(kafka, event):
    events = [event(number, f"rec_{number % 7}") for number in range(1000)]
    await kafka.publisher.publish(events)
    records = await kafka.read("upload.claimed", 1000)
    for recording in {sent.recording_id for sent in events}:
        versions = [decode(record.value).version for record in records if record.key == recording.encode()]
        assert versions == [sent.version for sent in events if sent.recording_id == recording]


async def test_publishing_nothing_needs_no_broker(kafka):
    await kafka.publisher.publish([])


async def test_a_message_no_broker_takes_is_refused_and_spoils_nothing(kafka, event):
    with pytest.raises(MessageSizeTooLargeError):
        await deliver(kafka.broker, [Message("upload.claimed", b"k", bytes(2_000_000), [])])
    await kafka.publisher.publish([event(1)])


async def test_more_than_a_batch_holds_goes_in_several_and_in_order(kafka):
    sent = [Message("upload.claimed", b"rec_%d" % (number % 3), b"%03d" % number + bytes(90_000), []) for number in range(30)]
    await deliver(kafka.broker, [*sent, Message("upload.claimed", None, b"without a key", [])])
    records = await kafka.read("upload.claimed", 31)
    for key in (b"rec_0", b"rec_1", b"rec_2"):
        received = [record.value[:3] for record in records if record.key == key]
        assert received == [message.value[:3] for message in sent if message.key == key]
    assert [record.value for record in records if record.key is None] == [b"without a key"]


async def test_a_message_larger_than_a_batch_goes_alone(kafka):
    values = [b"before", bytes(600_000), b"after"]
    await deliver(kafka.broker, [Message("upload.claimed", b"k", value, []) for value in values])
    assert [record.value for record in await kafka.read("upload.claimed", 3)] == values
