"""Pieces hold every sample once, in order, and are cut where nobody speaks."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.transcriber.providers.pieces import FRAME, SHORTEST_TAIL, Cutter, quietest
from services.transcriber.samples import RATE

SECOND = RATE


def by_loudness(samples):
    whole = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return (np.abs(whole).max(axis=1) > 0.1).astype(np.float32)


def cutter(longest_s=10.0, search_s=4.0, speech_probability=by_loudness):
    return Cutter(longest=round(longest_s * RATE), search=round(search_s * RATE), speech_probability=speech_probability)


def speech_with_pauses(length_s, *pauses):
    samples = np.full(round(length_s * RATE), 0.5, dtype=np.float32)
    for start_s, end_s in pauses:
        samples[round(start_s * RATE) : round(end_s * RATE)] = 0.0
    return samples


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(min_value=1, max_value=6 * SECOND), max_size=12),
    st.floats(min_value=4.0, max_value=12.0),
    st.floats(min_value=0.0, max_value=12.0),
    st.integers(min_value=0, max_value=2**32 - 1),
)
def test_pieces_hold_every_sample_once_and_none_is_too_long(lengths, longest_s, search_s, seed):
    rng = np.random.default_rng(seed)
    blocks = [rng.standard_normal(length).astype(np.float32) for length in lengths]
    whole = np.concatenate(blocks) if blocks else np.empty(0, dtype=np.float32)
    chance = cutter(longest_s, search_s, lambda samples: rng.random(len(samples) // FRAME).astype(np.float32))
    pieces = list(chance.pieces(iter(blocks)))
    assert [piece.start for piece in pieces] == list(np.cumsum([0, *(len(piece.samples) for piece in pieces)])[:-1])
    assert all(0 < len(piece.samples) <= chance.longest for piece in pieces)
    np.testing.assert_array_equal(np.concatenate([np.empty(0, np.float32), *(piece.samples for piece in pieces)]), whole)
    if len(pieces) > 1:
        assert len(pieces[-1].samples) >= SHORTEST_TAIL


def test_a_cut_falls_into_the_middle_of_the_longest_pause():
    speech = speech_with_pauses(18, (7.0, 7.2), (8.0, 9.0), (9.3, 9.4))
    first, second = cutter().pieces(iter([speech]))
    assert 8.1 < len(first.samples) / RATE < 8.9
    assert second.start == len(first.samples)


def test_audio_that_fits_is_one_piece():
    (piece,) = cutter().pieces(iter([speech_with_pauses(5, (1, 2)), speech_with_pauses(5, (1, 2))]))
    assert len(piece.samples) == 10 * RATE


def test_a_short_rest_is_never_a_piece_of_its_own():
    pieces = list(cutter().pieces(iter([speech_with_pauses(10.1, (9.6, 9.9))])))
    assert len(pieces) == 2
    assert len(pieces[1].samples) >= SHORTEST_TAIL


def test_speech_without_a_pause_is_cut_all_the_same():
    pieces = list(cutter().pieces(iter([speech_with_pauses(35)])))
    assert sum(len(piece.samples) for piece in pieces) == 35 * RATE
    assert max(len(piece.samples) for piece in pieces) <= 10 * RATE


def test_nothing_gives_no_piece():
    assert list(cutter().pieces(iter([]))) == []


def test_among_pauses_alike_the_quieter_is_taken():
    samples = speech_with_pauses(4, (1, 1.5), (3, 3.5))
    samples[: 2 * RATE] += 0.01
    assert 3.0 < quietest(by_loudness(samples), samples) / RATE < 3.5
