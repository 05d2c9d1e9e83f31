"""Random bytes fetched in advance."""

import os

import pytest

from shared.domain.randomness import random_bytes, random_word


def test_what_is_given_has_the_length_asked_for_and_is_given_once():
    given = [random_bytes(16) for _ in range(500)]
    assert {len(one) for one in given} == {16}
    assert len(set(given)) == 500
    assert len(random_bytes(5000)) == 5000


def test_words_have_all_their_bits_and_are_given_once():
    given = [random_word() for _ in range(2000)]
    assert max(given) < 2**32
    assert {bit for bit in range(32) for word in given if word >> bit & 1} == set(range(32))
    assert len(set(given)) > 1990  # two of so many may be equal by chance


@pytest.mark.parametrize("some_bytes", [random_bytes, lambda count: bytes(random_word() & 0xFF for _ in range(count))])
def test_a_forked_process_is_given_other_bytes_than_its_parent(some_bytes):
    some_bytes(4)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, some_bytes(16))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 16)
    os.close(reader)
    os.close(writer)
    assert theirs != some_bytes(16)
