"""Messages on their way out: one key goes to one partition, keys spread evenly, and headers have the form of the framework."""

from collections import Counter

from shared.domain.ids import new_id
from shared.messaging.outgoing import as_sent, partition_of


def test_a_key_goes_to_the_partition_of_its_crc():
    check = 0xCBF43926  # that of these nine digits, by which implementations of CRC-32 are told right from wrong
    assert [partition_of(b"123456789", range(count)) for count in (1, 7, 64)] == [check % count for count in (1, 7, 64)]


def test_partitions_need_not_be_numbered_from_zero():
    assert {partition_of(new_id("rec").encode(), [3, 5]) for _ in range(200)} == {3, 5}


def test_keys_spread_evenly():
    counts = Counter(partition_of(new_id("rec").encode(), range(12)) for _ in range(12_000))
    assert len(counts) == 12
    assert max(counts.values()) < 1_300
    assert min(counts.values()) > 700


def test_what_has_no_key_goes_to_any_partition():
    assert {partition_of(None, [0, 1, 2]) for _ in range(200)} == {0, 1, 2}


def test_an_events_id_is_the_correlation_id_too():
    assert as_sent([("event_id", b"evt_1"), ("trace_id", b"t")], b"evt_1") == [
        ("content-type", b""),
        ("correlation_id", b"evt_1"),
        ("event_id", b"evt_1"),
        ("trace_id", b"t"),
    ]


def test_what_is_no_event_has_no_correlation_id():
    assert as_sent([("x-service", b"webhooks")], None) == [("content-type", b""), ("x-service", b"webhooks")]
