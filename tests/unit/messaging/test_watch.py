"""Partitions that stand where no reader should stand."""

from shared.messaging.watch import CERTAIN_AFTER, PartitionWatch


def looks(watch, positions, ends, *, idle=True, count=CERTAIN_AFTER):
    return [watch.look(positions, ends, idle=idle) for _ in range(count)]


def test_a_position_beyond_the_end_is_certain_only_after_several_looks():
    *early, last = looks(PartitionWatch(), {"t-0": 9}, {"t-0": 2})
    assert all(found.beyond == () for found in early)
    assert last.beyond == ("t-0",)


def test_a_partition_that_moves_is_never_reported():
    watch = PartitionWatch()
    for position in range(20):
        found = watch.look({"t-0": position}, {"t-0": 100}, idle=True)
        assert (found.beyond, found.still) == ((), ())


def test_messages_that_do_not_come_are_reported_once():
    watch = PartitionWatch()
    assert looks(watch, {"t-0": 3}, {"t-0": 5})[-1].still == ("t-0",)
    watch.forget()
    assert all(found.still == () for found in looks(watch, {"t-0": 3}, {"t-0": 5}))
    assert looks(watch, {"t-0": 4}, {"t-0": 5})[-1].still == ("t-0",)


def test_a_consumer_at_work_does_not_stand_still():
    assert all(found.still == () for found in looks(PartitionWatch(), {"t-0": 3}, {"t-0": 5}, idle=False, count=10))


def test_a_doubt_that_passes_is_forgotten():
    watch = PartitionWatch()
    looks(watch, {"t-0": 9}, {"t-0": 2}, count=CERTAIN_AFTER - 1)
    watch.look({"t-0": 9}, {"t-0": 9}, idle=True)
    assert watch.look({"t-0": 9}, {"t-0": 2}, idle=True).beyond == ()


def test_a_partition_that_reads_as_far_again_after_a_rewind_has_a_wrong_end_and_is_left_alone():
    watch = PartitionWatch()
    assert looks(watch, {"t-0": 9}, {"t-0": 7})[-1].beyond == ("t-0",)
    watch.rewound("t-0", 9)
    assert all(found.beyond == () for position in (9, 10, 11) for found in looks(watch, {"t-0": position}, {"t-0": position - 2}))
    watch.look({"t-0": 11}, {"t-0": 11}, idle=True)
    assert looks(watch, {"t-0": 11}, {"t-0": 2})[-1].beyond == ("t-0",)


def test_a_partition_that_reads_less_far_after_a_rewind_is_rewound_again_when_the_broker_is_wiped_again():
    watch = PartitionWatch()
    looks(watch, {"t-0": 9}, {"t-0": 2})
    watch.rewound("t-0", 9)
    assert looks(watch, {"t-0": 5}, {"t-0": 1})[-1].beyond == ("t-0",)


def test_a_rewind_that_did_not_succeed_is_asked_for_again():
    watch = PartitionWatch()
    assert [found.beyond for found in looks(watch, {"t-0": 9}, {"t-0": 2}, count=4)] == [(), (), ("t-0",), ("t-0",)]
