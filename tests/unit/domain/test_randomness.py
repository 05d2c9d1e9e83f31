"""Random bytes fetched in advance."""

import os

from shared.domain.randomness import random_bytes


def test_what_is_given_has_the_length_asked_for_and_is_given_once():
    given = [random_bytes(16) for _ in range(500)]
    assert {len(one) for one in given} == {16}
    assert len(set(given)) == 500
    assert len(random_bytes(5000)) == 5000


def test_a_forked_process_is_given_other_bytes_than_its_parent():
    random_bytes(1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, random_bytes(16))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 16)
    os.close(reader)
    os.close(writer)
    assert theirs != random_bytes(16)
