"""Randomness fetched in advance."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.domain.randomness import ALPHABET, random_hex, random_letters, random_word

EACH = [random_word, random_letters, random_hex]


def test_words_have_all_their_bits_and_are_given_once():
    given = [random_word() for _ in range(2000)]
    assert max(given) < 2**32
    assert {bit for bit in range(32) for word in given if word >> bit & 1} == set(range(32))
    assert len(set(given)) > 1990  # two of so many may be equal by chance


@pytest.mark.parametrize(
    ("random_text", "length", "letters"), [(random_letters, 12, ALPHABET), (random_hex, 32, "0123456789abcdef")]
)
def test_texts_have_their_length_and_every_letter_at_every_place_and_are_given_once(random_text, length, letters):
    given = [random_text() for _ in range(2000)]
    assert {len(text) for text in given} == {length}
    assert all({text[place] for text in given} == set(letters) for place in range(length))
    assert len(set(given)) == len(given)


@pytest.mark.parametrize("random_one", [random_letters, random_hex])
def test_threads_are_given_each_their_own(random_one):
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda _: random_one(), range(20_000)))
    assert len(set(given)) == len(given)


@pytest.mark.parametrize("random_one", EACH)
def test_a_forked_process_is_given_others_than_its_parent(random_one):
    random_one()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str([random_one() for _ in range(4)]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 1000)
    os.close(reader)
    os.close(writer)
    assert theirs != str([random_one() for _ in range(4)]).encode()
