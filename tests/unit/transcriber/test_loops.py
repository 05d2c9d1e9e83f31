"""Loops of the model end; what people repeat stays."""

from services.transcriber.providers.loops import without_loops
from shared.domain.transcript import Segment, Word


def spoken(text, pace_s):
    words = tuple(
        Word(word=f" {word}", start=number * pace_s, end=(number + 1) * pace_s, confidence=0.5)
        for number, word in enumerate(text.split())
    )
    return Segment(start=0, end=words[-1].end, text=f" {text}", confidence=0.5, words=words)


def test_a_phrase_again_and_again_in_no_time_is_said_once():
    segment = without_loops(spoken("so " + "thanks for watching! " * 20 + "bye", 0.02))
    assert segment.text == " so thanks for watching! bye"
    assert [word.word.strip() for word in segment.words] == segment.text.split()


def test_a_loop_at_the_end_shortens_the_segment():
    segment = without_loops(spoken("I see " + "you " * 40, 0.05))
    assert (segment.text, round(segment.end, 2)) == (" I see you", 0.15)


def test_what_people_repeat_stays():
    for text, pace_s in (("no no no no no no no", 0.3), ("very very very good", 0.02), ("bye bye", 0.01)):
        segment = spoken(text, pace_s)
        assert without_loops(segment) is segment


def test_fast_speech_without_repetition_stays():
    segment = spoken("one two three four five six seven eight nine ten", 0.03)
    assert without_loops(segment) is segment


def test_a_segment_without_words_stays():
    segment = Segment(start=0, end=1, text="la la la la la", confidence=None, words=())
    assert without_loops(segment) is segment
