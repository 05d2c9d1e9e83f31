"""What is passed over is left alone for a minute, and no longer."""

from shared.passed_over import PASSED_OVER_S, PassedOver


class Clock:
    at = 100.0

    def __call__(self):
        return self.at


def test_each_is_left_alone_for_a_minute_and_then_forgotten():
    clock = Clock()
    passed_over = PassedOver(clock)
    assert passed_over.add("txn_1")
    clock.at += PASSED_OVER_S / 2
    assert passed_over.add("txn_2")
    assert not passed_over.add("txn_1")
    assert passed_over.ids() == ["txn_1", "txn_2"]
    clock.at += PASSED_OVER_S / 2
    assert passed_over.ids() == ["txn_2"]
    assert passed_over.add("txn_1")
    clock.at += PASSED_OVER_S
    assert passed_over.ids() == []
