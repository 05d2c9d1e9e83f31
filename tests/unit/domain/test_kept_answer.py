"""What a claimed request makes has one id however often it is claimed, and shares it with nothing else."""

from datetime import timedelta

import msgspec

from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.kept_answer import Claim, identified

AT = now()
CLAIM = Claim(id="a" * 64, token="first", first_at=AT)


def test_a_later_claim_of_the_same_request_gives_the_same_id():
    assert msgspec.structs.replace(CLAIM, token="later").new_id("rec") == CLAIM.new_id("rec")


def test_other_requests_of_the_same_moment_give_other_ids():
    ids = {Claim(id=f"{number:064x}", token="t", first_at=AT).new_id("rec") for number in range(1000)}
    assert len(ids) == 1000


def test_a_key_that_is_used_anew_after_it_expired_gives_another_id():
    tomorrow = msgspec.structs.replace(CLAIM, first_at=AT + timedelta(hours=24))
    assert tomorrow.new_id("rec") != CLAIM.new_id("rec")


def test_the_id_sorts_where_the_request_came_first():
    before = new_id("rec")
    claim = Claim(id="b" * 64, token="t", first_at=now() + timedelta(milliseconds=2))
    assert before < claim.new_id("rec")
    assert CLAIM.new_id("rec") < Claim(id="0" * 64, token="t", first_at=AT + timedelta(milliseconds=1)).new_id("rec")


def test_without_a_claim_every_id_is_a_new_one():
    assert identified("rec", CLAIM) == CLAIM.new_id("rec")
    assert identified("rec", None) != identified("rec", None)
