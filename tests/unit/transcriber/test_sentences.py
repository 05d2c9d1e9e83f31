"""Long segments are cut where sentences end, and lose nothing."""

from hypothesis import given
from hypothesis import strategies as st

from services.transcriber.providers.sentences import sentences
from services.transcriber.providers.spoken_language import SpokenLanguage
from shared.domain.transcript import Segment, Word


def spoken(text, *, pace_s=0.5, pause_after=(), start=0.0):
    words, at = [], start
    for number, word in enumerate(text.split()):
        words.append(Word(word=f" {word}", start=at, end=at + pace_s, confidence=0.5))
        at += pace_s + (1.0 if number in pause_after else 0.0)
    return Segment(start=start, end=at, text=f" {text}", confidence=0.5, words=tuple(words))


def texts(segment):
    return [sentence.text.strip() for sentence in sentences(segment)]


def test_a_segment_is_cut_after_each_sentence():
    assert texts(spoken("One two three four five. Six seven eight nine? Ten.")) == [
        "One two three four five.",
        "Six seven eight nine?",
        "Ten.",
    ]


def test_short_sentences_stay_together():
    assert texts(spoken("Yes. No. Fine, I will.")) == ["Yes. No. Fine, I will."]


def test_a_long_pause_cuts_too():
    assert texts(spoken("well then so be it", pause_after=(1,))) == ["well then", "so be it"]


def test_a_segment_without_words_stays_whole():
    segment = Segment(start=0, end=9, text="Long. Text.", confidence=None, words=())
    assert list(sentences(segment)) == [segment]


@given(st.lists(st.sampled_from(["a", "b.", "c!", "d,"]), min_size=1, max_size=40), st.sets(st.integers(0, 39)))
def test_no_word_is_lost_doubled_or_moved(words, pauses):
    segment = spoken(" ".join(words), pause_after=pauses)
    parts = list(sentences(segment))
    assert tuple(word for part in parts for word in part.words) == segment.words
    assert "".join(part.text for part in parts) == segment.text


def test_a_given_language_is_kept():
    language = SpokenLanguage("de")
    language.heard("en", 0.99, 100.0)
    assert (language.known, language.decided()) == ("de", "de")


def test_the_first_sure_detection_is_kept():
    language = SpokenLanguage(None)
    language.heard("nl", 0.3, 5.0)
    assert language.known is None
    language.heard("en", 0.9, 5.0)
    language.heard("fr", 0.95, 500.0)
    assert language.decided() == "en"


def test_without_a_sure_detection_the_most_spoken_one_counts():
    language = SpokenLanguage(None)
    language.heard("nl", 0.4, 5.0)
    language.heard("en", 0.4, 50.0)
    assert language.decided() == "en"


def test_silence_has_no_language():
    assert SpokenLanguage(None).decided() is None
