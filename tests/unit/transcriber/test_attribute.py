"""Words come by their speaker, sentences keep theirs, and segments are cut where the speaker changes."""

from hypothesis import given
from hypothesis import strategies as st

from services.transcriber.diarization.attribute import attributed
from services.transcriber.diarization.ports import Turn
from shared.domain.transcript import Segment, Word


def spoken(text, start=0.0, pace_s=0.5):
    words = tuple(
        Word(word=f" {word}", start=start + number * pace_s, end=start + (number + 1) * pace_s, confidence=0.5)
        for number, word in enumerate(text.split())
    )
    return Segment(start=start, end=words[-1].end, text=f" {text}", confidence=0.5, words=words)


def lines(segments, *turns):
    return [(segment.speaker, segment.text.strip()) for segment in attributed(segments, [Turn(*turn) for turn in turns])]


def test_a_segment_is_cut_where_the_speaker_changes():
    heard = attributed([spoken("How are you? Fine, thank you.")], [Turn(0, 1.5, 7), Turn(1.5, 3, 3)])
    assert [(segment.speaker, segment.text.strip(), segment.start, segment.end) for segment in heard] == [
        ("SPEAKER_0", "How are you?", 0.0, 1.5),
        ("SPEAKER_1", "Fine, thank you.", 1.5, 3.0),
    ]
    assert all(word.speaker == segment.speaker for segment in heard for word in segment.words)


def test_a_segment_of_one_speaker_stays_as_it_is():
    segment = spoken("One. Two. Three.")
    (heard,) = attributed([segment], [Turn(0, 9, 0)])
    assert (heard.start, heard.end, heard.text) == (segment.start, segment.end, segment.text)


def test_speakers_are_numbered_by_their_first_word():
    assert lines([spoken("Second.", 5), spoken("First.", 0)], (0, 1, 9), (5, 6, 4)) == [
        ("SPEAKER_0", "First."),
        ("SPEAKER_1", "Second."),
    ]


def test_a_word_or_two_over_the_edge_belong_to_their_sentence():
    assert lines([spoken("I said that already. You did not say it.")], (0, 2.6, 0), (2.6, 5, 1)) == [
        ("SPEAKER_0", "I said that already."),
        ("SPEAKER_1", "You did not say it."),
    ]


def test_a_sentence_that_another_goes_on_with_is_cut():
    assert lines([spoken("so that is what I thought yes but why did you")], (0, 3, 0), (3, 5, 1)) == [
        ("SPEAKER_0", "so that is what I thought"),
        ("SPEAKER_1", "yes but why did you"),
    ]


def test_where_two_talk_at_once_the_sentence_is_the_leader_s():
    assert lines([spoken("I will not hear of it again.")], (0, 4, 0), (1, 2.5, 1)) == [
        ("SPEAKER_0", "I will not hear of it again.")
    ]


def test_words_outside_all_turns_are_the_nearest_one_s():
    assert lines([spoken("Well."), spoken("Oh.", 20)], (2, 5, 0), (15, 19, 1)) == [("SPEAKER_0", "Well."), ("SPEAKER_1", "Oh.")]


def test_without_turns_one_speaks():
    assert lines([spoken("Hello."), spoken("Hello!", 3)]) == [("SPEAKER_0", "Hello."), ("SPEAKER_0", "Hello!")]


def test_a_segment_without_words_has_a_speaker_too():
    bare = Segment(start=1, end=2, text="Hm.", confidence=None, words=())
    assert lines([bare], (0, 3, 5)) == [("SPEAKER_0", "Hm.")]


TURNS = st.lists(st.tuples(st.floats(0, 60), st.floats(0.1, 20), st.integers(0, 3)), max_size=12)
TEXTS = st.lists(st.lists(st.sampled_from(["a", "b.", "c!", "d,"]), min_size=1, max_size=12), max_size=6)


@given(TURNS, TEXTS)
def test_no_word_is_lost_doubled_or_moved_and_each_has_its_segment_s_speaker(turns, texts):
    segments = [spoken(" ".join(text), 10.0 * number) for number, text in enumerate(texts)]
    heard = attributed(segments, [Turn(start, start + length, who) for start, length, who in turns])
    assert "".join(segment.text for segment in heard) == "".join(segment.text for segment in segments)
    assert [(w.word, w.start, w.end) for segment in heard for w in segment.words] == [
        (w.word, w.start, w.end) for segment in segments for w in segment.words
    ]
    assert all(word.speaker == segment.speaker for segment in heard for word in segment.words)
    names = list(dict.fromkeys(segment.speaker for segment in heard))
    assert names == [f"SPEAKER_{number}" for number in range(len(names))]
