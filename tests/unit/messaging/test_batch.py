"""Lanes and offsets of one batch."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.batch import Batch


def record(offset, key=b"a", timestamp=0):
    return SimpleNamespace(offset=offset, key=key, timestamp=timestamp)


async def handled_by(batch, refused=()):
    seen = []

    async def handle(found):
        seen.append(found)
        return found not in refused

    for lane in batch.lanes():
        await batch.run(lane, handle)
    return seen


def test_each_key_has_one_lane_even_across_topics_oldest_first():
    batch = Batch(
        {
            "created-0": [record(5, b"a", 10), record(6, b"b", 11)],
            "uploaded-1": [record(0, b"a", 12), record(1, b"a", 9)],
        }
    )
    lanes = [[(partition, found.offset) for partition, found in lane] for lane in batch.lanes()]
    assert [("created-0", 5), ("uploaded-1", 0), ("uploaded-1", 1)] in lanes  # a late clock does not reorder a partition
    assert [("created-0", 6)] in lanes


def test_messages_without_a_key_share_the_lane_of_their_partition():
    batch = Batch({"t-0": [record(0, None), record(1, None)], "t-1": [record(0, None)]})
    assert sorted(len(lane) for lane in batch.lanes()) == [1, 2]


async def test_a_batch_settled_in_full_moves_to_its_end():
    batch = Batch({"t-0": [record(3), record(4, b"b")], "t-1": [record(9)]})
    await handled_by(batch)
    assert batch.progress() == {"t-0": 5, "t-1": 10}
    assert batch.stuck() == {}


async def test_nothing_of_a_key_overtakes_a_message_that_is_not_settled():
    first, second, other = record(3, b"a"), record(4, b"a"), record(5, b"b")
    batch = Batch({"t-0": [first, second, other]})
    assert await handled_by(batch, refused=[first]) == [first, other]
    assert batch.progress() == {}
    assert batch.stuck() == {"t-0": 3}


async def test_what_is_settled_before_the_first_that_is_not_is_committed():
    records = [record(3, b"a"), record(7, b"b"), record(8, b"c")]  # offsets may have holes
    batch = Batch({"t-0": records})
    await handled_by(batch, refused=[records[1]])
    assert batch.progress() == {"t-0": 7}
    assert batch.stuck() == {"t-0": 7}


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", None]), st.booleans()), min_size=1, max_size=30))
async def test_no_offset_ever_passes_a_message_that_is_not_settled(messages):
    records = [record(offset, key) for offset, (key, _) in enumerate(messages)]
    refused = [found for found, (_, settles) in zip(records, messages, strict=True) if not settles]
    batch = Batch({"t-0": records})
    seen = await handled_by(batch, refused)
    unsettled = [found.offset for found in records if found in refused or found not in seen]
    committed = batch.progress().get("t-0", 0)
    assert committed == (min(unsettled) if unsettled else len(records))
    assert batch.stuck() == ({"t-0": min(unsettled)} if unsettled else {})
