"""Messages on their way out go where Kafka's own clients would send them."""

import random

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.partitioner import murmur2 as aiokafkas

from shared.domain.ids import new_id
from shared.messaging.outgoing import murmur2, partition_of


@pytest.mark.parametrize("length", range(70))
def test_the_hash_is_that_of_kafkas_clients(length):
    for _ in range(20):
        key = random.randbytes(length)
        assert murmur2(key) == aiokafkas(key)


def test_a_key_goes_to_the_partition_that_aiokafka_would_choose():
    keys = [new_id("rec").encode() for _ in range(500)]
    for count in (1, 2, 3, 12, 64):
        partitions = list(range(count))
        assert [partition_of(key, partitions) for key in keys] == [DefaultPartitioner()(key, partitions, ()) for key in keys]


def test_what_has_no_key_goes_to_any_partition():
    assert {partition_of(None, [0, 1, 2]) for _ in range(200)} == {0, 1, 2}
