"""What is hidden is hidden in the text, the segments and the words; everything else stays."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.transcriber.redact import redacted
from shared.domain.transcript import Segment, Word, transcript_of
from shared.domain.transcription import Redaction

NUMBERS, PROFANITY = (Redaction.NUMBERS,), (Redaction.PROFANITY,)


def said(*sentences, with_words=True):
    segments = []
    for number, sentence in enumerate(sentences):
        words = [Word(word=f" {word}", start=number, end=number + 0.5, confidence=0.5) for word in sentence.split()]
        segments.append(
            Segment(start=number, end=number + 0.5, text=sentence, confidence=0.5, words=tuple(words) if with_words else ())
        )
    return transcript_of(segments, language="en", duration_ms=60_000)


@pytest.mark.parametrize("with_words", [True, False])
@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("Call 555-0199, please.", "Call ###-####, please."),
        ("It costs $4.50 (or 5%).", "It costs $#.## (or #%)."),
        ("The code is four two oh seven, right?", "The code is # # # #, right?"),
        ("Forty-two of them came, I think.", "# of them came, I think."),
        ("one hundred and five people", "# # # # people"),
        ("the year two thousand, and then", "the year # #, and then"),
        ("No one saw the one that got away, oh well.", "No one saw the one that got away, oh well."),
        ("one one two", "# # #"),
        ("one one", "# #"),
        ("a point and a break", "a point and a break"),
        ("سعره ٤٢ درهما", "سعره ## درهما"),
        ("twenty-one and thirty", "# # #"),
        ("4million or 2-two, 1st", "## or #-#, #st"),
        ("long-two-handed", "long-two-handed"),
        ("nine-one-one, four-oh-one, one-eight-hundred", "#, #, #"),
        ("double-oh-seven, one-two, one-one", "#, #, #"),
        ("one-on-one, double-o, one-time", "one-on-one, double-o, one-time"),
    ],
)
def test_numbers_are_hidden(sentence, shown, with_words):
    transcript = redacted(said(sentence, with_words=with_words), NUMBERS)
    assert transcript.text == transcript.segments[0].text == shown
    if with_words:
        assert " ".join(word.word for word in transcript.segments[0].words) == shown


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("What the fuck, Dick?", "What the f***, Dick?"),
        ('"Bullshit!" he said.', '"B*******!" he said.'),
        ("Scunthorpe has shiitake and a class act.", "Scunthorpe has shiitake and a class act."),
        ("That goddamn son-of-a-bitch", "That g****** s*************"),
        ("Motherfucker 12", "M*********** 12"),
    ],
)
def test_swear_words_are_hidden_but_for_their_first_letter(sentence, shown):
    assert redacted(said(sentence), PROFANITY).text == shown


def test_a_number_over_two_segments_is_one_number():
    assert redacted(said("my code is four", "oh one. Thanks."), NUMBERS).text == "my code is # # #. Thanks."


def test_everything_else_stays():
    before = said("Damn, 42 of them.", "And nothing here.")
    after = redacted(before, (*NUMBERS, *PROFANITY))
    assert after.text == "D***, ## of them. And nothing here."
    assert after.segments[1] == before.segments[1]
    kept = msgspec.structs.replace(after.segments[0], text=before.segments[0].text, words=before.segments[0].words)
    assert kept == before.segments[0]
    assert [(w.start, w.end, w.confidence) for w in after.segments[0].words] == [
        (w.start, w.end, w.confidence) for w in before.segments[0].words
    ]


def test_without_a_wish_nothing_is_hidden():
    transcript = said("Fuck 42.")
    assert redacted(transcript, ()) is transcript


def test_a_text_that_does_not_hold_its_words_is_made_of_them():
    word = Word(word="4711", start=0, end=1, confidence=None)
    transcript = transcript_of(
        [Segment(start=0, end=1, text="four-seven-eleven", confidence=None, words=(word,))], language="en", duration_ms=2000
    )
    assert redacted(transcript, NUMBERS).text == "####"


@given(st.lists(st.text("ab1٣ -two,one fuck", min_size=1, max_size=12), min_size=1, max_size=6), st.booleans())
def test_no_digit_gets_through_and_all_counts_stay(sentences, with_words):
    before = said(*sentences, with_words=with_words)
    after = redacted(before, (*NUMBERS, *PROFANITY))
    assert not any(character.isnumeric() for character in after.text)
    assert not any(character.isnumeric() for segment in after.segments for word in segment.words for character in word.word)
    assert [len(segment.words) for segment in after.segments] == [len(segment.words) for segment in before.segments]
    assert redacted(after, (*NUMBERS, *PROFANITY)) == after
