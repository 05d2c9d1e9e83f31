"""Publishing on a real broker."""

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from shared.events.codec import decode
from shared.messaging.publisher import Message, deliver


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
        await deliver(kafka.broker, [Message("upload.claimed", b"k", bytes(2_000_000), {})])
    await kafka.publisher.publish([event(1)])
