"""What every transcript promises, whatever a provider answered."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.transcript import Segment, Word, is_ordered, transcript_of

times = st.floats(min_value=-5, max_value=400, allow_nan=False)
certainties = st.none() | st.floats(min_value=-0.5, max_value=1.5, allow_nan=False)
texts = st.sampled_from(["", " ", " yes", "no ", "你好", "l'eau."])
words = st.builds(Word, word=texts, start=times, end=times, confidence=certainties, speaker=st.none() | st.just("SPEAKER_0"))
answers = st.lists(
    st.builds(Segment, start=times, end=times, text=texts, confidence=certainties, words=st.lists(words, max_size=6).map(tuple)),
    max_size=6,
)


def a_word(word, start, end, confidence=0.5):
    return Word(word=word, start=start, end=end, confidence=confidence)


def a_segment(start, end, *words_of_it):
    text = "".join(word.word for word in words_of_it)
    return Segment(start=start, end=end, text=text, confidence=0.5, words=words_of_it)


@given(answers, st.integers(min_value=0, max_value=300_000))
def test_segments_and_words_are_ordered_have_a_length_and_stay_in_the_audio(answer, duration_ms):
    transcript = transcript_of(answer, language="en", duration_ms=duration_ms)
    assert is_ordered(transcript.segments)
    for part in [*transcript.segments, *(word for segment in transcript.segments for word in segment.words)]:
        assert 0 <= part.start < part.end <= max(duration_ms / 1000, 0.011) + 0.001
        assert part.confidence is None or 0 <= part.confidence <= 1


@given(answers, st.integers(min_value=0, max_value=300_000))
def test_tidying_twice_changes_nothing(answer, duration_ms):
    once = transcript_of(answer, language=None, duration_ms=duration_ms)
    assert transcript_of(once.segments, language=None, duration_ms=duration_ms) == once


@given(answers)
def test_no_spoken_word_is_lost(answer):
    transcript = transcript_of(answer, language=None, duration_ms=300_000)
    spoken = [word.word.strip() for segment in answer if segment.text.strip() for word in segment.words if word.word.strip()]
    assert sorted(word.word for segment in transcript.segments for word in segment.words) == sorted(spoken)


def test_a_segment_spans_its_words():
    (segment,) = transcript_of(
        [a_segment(0.0, 9.0, a_word(" one", 1.0, 1.5), a_word(" two", 2.0, 2.0))], language="en", duration_ms=9000
    ).segments
    assert (segment.start, segment.end, segment.text) == (1.0, 2.01, "one two")
    assert [(word.word, word.start, word.end) for word in segment.words] == [("one", 1.0, 1.5), ("two", 2.0, 2.01)]


def test_the_figures_are_over_all_words():
    transcript = transcript_of(
        [
            a_segment(3, 4, a_word(" three", 3, 4, 0.3)),
            a_segment(0, 2, a_word(" one", 0, 1, 0.9), a_word(" two", 1, 2, 0.6)),
        ],
        language="en",
        duration_ms=4000,
    )
    assert (transcript.text, transcript.word_count, transcript.confidence) == ("one two three", 3, 0.6)


def test_silence_is_an_empty_transcript():
    transcript = transcript_of([], language=None, duration_ms=5000)
    assert (transcript.text, transcript.segments, transcript.word_count, transcript.confidence) == ("", (), 0, None)


def test_a_speaker_is_on_the_wire_only_when_there_is_one():
    plain = a_word("yes", 0, 1)
    assert msgspec.to_builtins(plain) == {"word": "yes", "start": 0, "end": 1, "confidence": 0.5}
    assert msgspec.to_builtins(msgspec.structs.replace(plain, speaker="SPEAKER_1"))["speaker"] == "SPEAKER_1"
