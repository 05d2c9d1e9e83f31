"""The lab's scores, on cases whose results can be counted by hand."""

import pytest

from bench.speech.scores import diarization_error_rate, most_in_common, word_error_rate, wrong_speaker_rate

SPOKEN = [(0.0, 10.0, "a"), (10.0, 20.0, "b")]


def words(*lines):
    return [(word, who) for who, text in lines for word in text.split()]


def test_other_names_for_the_same_people_are_no_error():
    assert diarization_error_rate(SPOKEN, [(10.0, 20.0, 0), (0.0, 10.0, 1)]) == 0


@pytest.mark.parametrize(
    ("heard", "seconds"),
    [
        ([], 20),  # all missed
        ([(0.0, 20.0, 0)], 10),  # one taken for the other
        ([(0.0, 10.0, 0), (10.0, 25.0, 1)], 5),  # five seconds invented
        ([(0.0, 10.0, 0), (12.0, 20.0, 1)], 2),  # two missed
        ([(0.0, 10.0, 0), (8.0, 20.0, 1)], 2),  # two over another's words
        ([(0.0, 5.0, 0), (5.0, 10.0, 2), (10.0, 20.0, 1)], 5),  # one person taken for two
    ],
)
def test_missed_invented_and_confused_seconds_count(heard, seconds):
    assert diarization_error_rate(SPOKEN, heard) == pytest.approx(seconds / 20)


def test_who_is_talked_over_must_be_heard_too():
    overlapped = [(0.0, 10.0, "a"), (5.0, 10.0, "b")]
    assert diarization_error_rate(overlapped, [(0.0, 10.0, 0)]) == pytest.approx(5 / 15)
    assert diarization_error_rate(overlapped, [(0.0, 10.0, 0), (5.0, 10.0, 1)]) == 0


def test_names_are_matched_so_that_most_agrees():
    assert most_in_common({("a", 0): 5, ("a", 1): 4, ("b", 0): 4}) == 8
    assert most_in_common({}) == 0


def test_words_in_another_s_mouth_count_however_the_rest_was_heard():
    said = words(("a", "one two three four"), ("b", "five six seven eight nine ten"))
    assert wrong_speaker_rate(said, words((7, "one two three four"), (3, "five six seven eight nine ten"))) == 0
    assert wrong_speaker_rate(said, words((7, "one two three four five"), (3, "six seven eight nine ten"))) == pytest.approx(0.1)
    assert wrong_speaker_rate(said, words((7, "One, too three four."), (3, "six seven eight nine ten eleven"))) == 0
    assert wrong_speaker_rate(said, []) == 1.0


def test_spelling_and_punctuation_are_no_word_errors():
    assert word_error_rate("mister Smith, it's you", "Mr. Smith it's you!") == 0
    assert word_error_rate("two hundred and six, or forty percent of nineteen", "206 or 40% of 19") == 0
    assert word_error_rate("one two three four", "one three four four") == 0.5
