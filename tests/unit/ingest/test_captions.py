"""Captions and the files made of them: limits, order and completeness whatever was said, and valid by independent parsers."""

# ruff: noqa: RUF001 - the scripts of the world

import io
import unicodedata

import pysubs2
import pytest
import srt
import webvtt
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.exports.captions import cues_of
from services.ingest.exports.columns import cleaned, clusters, cut_to, width_of
from services.ingest.exports.formats import _time, as_srt, as_text, as_vtt
from shared.domain.transcript import Segment, Word, transcript_of

SCRIPTS = [
    "The quick brown fox jumps over the lazy dog, and then it does so again. Would you believe it? Nobody did!",
    "Jeg er glad for å være her, og jeg håper at dere også er det; vi skal snakke om været i dag.",
    "私たちは今日、天気について話します。雨が降っていますが、明日は晴れるでしょう。そうですか？はい。",
    "今天我们要谈谈天气情况，外面正在下雨，但是明天会是晴天。你相信吗？我不太相信！",
    "مرحبا بكم جميعا، سنتحدث اليوم عن الطقس؛ هل تصدقون ذلك؟ لا أحد يصدق.",
    "สวัสดีครับวันนี้เราจะพูดคุยกันเรื่องสภาพอากาศฝนกำลังตกแต่พรุ่งนี้แดดจะออก",
    "नमस्ते, आज हम मौसम के बारे में बात करेंगे। बारिश हो रही है, पर कल धूप होगी।",
    "👩‍👩‍👧‍👦 e\u0301e\u0301 עברית mixed with English and 日本語 in one line, which is long enough to be cut",
    "x" * 300,
]


CHARACTERS = [
    "👩‍👩‍👧‍👦",  # four that joiners join
    "👍🏽",  # with a skin tone
    "🇳🇴",  # two letters are one flag
    "1\ufe0f\u20e3",  # a keycap
    "e\u0301",
    "नि",  # a vowel sign that takes a column of its own
    "கொ",
    "ที่",
    "ש\u05c1\u05b8",
    "ی\u200c",  # a joiner that keeps two apart
]


@pytest.mark.parametrize("character", CHARACTERS)
def test_what_a_reader_takes_for_one_character_is_never_cut(character):
    assert list(clusters(character)) == [character]
    assert list(clusters(f"a{character}{character}b")) == ["a", character, character, "b"]
    for part in cut_to(character * 50, 11):
        assert part == character * (len(part) // len(character))
        assert width_of(part) <= 11


@pytest.mark.parametrize(
    ("text", "columns"), [("ab", 2), ("日本", 4), ("한국", 4), ("Ａ", 2), ("ｱ", 1), ("👍🏽", 2), ("e\u0301", 1), ("नि", 2)]
)
def test_wide_characters_take_two_columns_and_marks_none(text, columns):
    assert width_of(text) == columns


def said(text, start=0.0, rate=14.0, speaker=None, **fields):
    """A segment whose words follow each other without a pause."""
    words, at = [], start
    for part in text.split():
        end = at + max(0.05, len(part) / rate)
        words.append(Word(word=part, start=at, end=end, confidence=0.9, speaker=speaker))
        at = end
    return Segment(start=start, end=at, text=text, confidence=0.9, words=tuple(words), speaker=speaker, **fields)


def without_words(text, start, end, speaker=None):
    return Segment(start=start, end=end, text=text, confidence=None, words=(), speaker=speaker)


def a_transcript(*segments):
    last = max((segment.end for segment in segments), default=0.0)
    return transcript_of(segments, language="en", duration_ms=round(last * 1000))


def squeezed(text):
    return "".join(text.split())


def assert_readable(transcript):
    cues = cues_of(transcript)
    for cue in cues:
        assert 1 <= len(cue.lines) <= 2
        widths = [width_of(line) for line in cue.lines]
        assert widths[0] + width_of(cue.label) <= 42
        assert max(widths) <= 42
        assert 0 < cue.end_ms - cue.start_ms <= 7000
        assert all(line.strip() == line != "" for line in cue.lines)
    starts = [cue.start_ms for cue in cues]
    assert starts == sorted(starts)
    return cues


@pytest.mark.parametrize("text", SCRIPTS)
@pytest.mark.parametrize("timed", [True, False])
def test_any_script_is_cut_within_the_limits_and_nothing_is_lost(text, timed):
    transcript = a_transcript(said(text) if timed else without_words(text, 0.0, 40.0))
    cues = assert_readable(transcript)
    assert squeezed("".join(line for cue in cues for line in cue.lines)) == squeezed(text)


def test_a_short_sentence_is_one_line():
    (cue,) = cues_of(a_transcript(said("Yes, I do.")))
    assert cue.lines == ("Yes, I do.",)


def test_two_lines_are_of_much_the_same_length():
    (cue,) = cues_of(a_transcript(said("one two three four five six seven eight nine ten", rate=20.0)))
    first, second = map(width_of, cue.lines)
    assert abs(first - second) <= 8


def test_a_cue_ends_where_a_sentence_does():
    cues = cues_of(a_transcript(said(SCRIPTS[0], rate=30.0)))
    assert [cue.lines[-1][-1] for cue in cues] == [".", "!"]


def test_a_script_without_spaces_keeps_having_none():
    characters = [*"今天我们要谈谈天气", "情况。"]
    words = tuple(
        Word(word=text, start=0.2 * index, end=0.2 * index + 0.2, confidence=None) for index, text in enumerate(characters)
    )
    whole = "".join(characters)
    segment = Segment(start=0.0, end=2.2, text=whole, confidence=None, words=words)
    (cue,) = cues_of(a_transcript(segment))
    assert cue.lines == (whole,)


def test_what_closes_a_sentence_begins_no_line():
    cues = cues_of(a_transcript(without_words(SCRIPTS[2] * 3, 0.0, 30.0)))
    assert not [line for cue in cues for line in cue.lines if unicodedata.category(line[0]) in {"Po", "Pe"}]


def test_marks_stay_with_what_they_mark():
    cues = cues_of(a_transcript(without_words("e\u0301" * 200, 0.0, 5.0)))
    assert not [line for cue in cues for line in cue.lines if unicodedata.combining(line[0])]


def test_a_new_speaker_begins_a_new_cue_and_is_named_once():
    dialogue = [said("Good morning.", 0.0, speaker="SPEAKER_0"), said("How are you?", 2.0, speaker="SPEAKER_0")]
    transcript = a_transcript(*dialogue, said("Fine, thanks.", 4.0, speaker="SPEAKER_1"))
    assert [cue.label for cue in cues_of(transcript)] == ["SPEAKER_0: ", "", "SPEAKER_1: "]
    assert as_text(transcript) == "SPEAKER_0: Good morning. How are you?\nSPEAKER_1: Fine, thanks.\n"
    assert "<v SPEAKER_1>Fine, thanks." in as_vtt(transcript)
    assert "\nSPEAKER_1: Fine, thanks.\n" in as_srt(transcript)


def test_who_goes_on_after_another_said_something_is_named_again():
    long = said(SCRIPTS[0] * 2, 0.0, speaker="SPEAKER_0")
    first, again = said("Mhm.", 2.0, speaker="SPEAKER_1"), said("Mhm.", long.end, speaker="SPEAKER_1")
    cues = assert_readable(a_transcript(long, first, again))
    named = [(cue.speaker, bool(cue.label)) for cue in cues]
    assert named[:3] == [("SPEAKER_0", True), ("SPEAKER_1", True), ("SPEAKER_0", True)]
    assert set(named[3:-1]) == {("SPEAKER_0", False)}
    assert named[-1] == ("SPEAKER_1", True)


def test_words_of_two_speakers_in_one_segment_are_two_cues():
    no = Word(word="No", start=0, end=1, confidence=None, speaker="A")
    yes = Word(word="Yes", start=1, end=2, confidence=None, speaker="B")
    segment = Segment(start=0, end=2, text="No Yes", confidence=None, words=(no, yes))
    assert [(cue.speaker, cue.lines) for cue in cues_of(a_transcript(segment))] == [("A", ("No",)), ("B", ("Yes",))]


def test_a_short_cue_stands_longer_where_nothing_follows():
    segments = [said("Yes.", 0.0), said("No.", 0.5), said("Well.", 10.0), said("End.", 20.0)]
    cues = cues_of(a_transcript(*segments))
    assert [cue.end_ms - cue.start_ms for cue in cues] == [500, 1000, 1000, 286]


def test_a_word_that_lasts_for_ever_stands_for_seven_seconds():
    word = Word(word="Ooooh", start=1.0, end=60.0, confidence=None)
    (cue,) = cues_of(a_transcript(Segment(start=1.0, end=60.0, text="Ooooh", confidence=None, words=(word,))))
    assert (cue.start_ms, cue.end_ms) == (1000, 8000)


def test_words_said_slowly_are_shown_while_they_are_said():
    words = said("Time passes slowly here so he waits a while and goes.", rate=2.0).words
    segment = Segment(start=0, end=words[-1].end, text=" ".join(word.word for word in words), confidence=None, words=words)
    cues = assert_readable(a_transcript(segment))
    shown = [(word, cue) for cue in cues for word in " ".join(cue.lines).split()]
    assert [word for word, _ in shown] == [word.word for word in words]
    late = [word.word for word, (_, cue) in zip(words, shown, strict=True) if round(word.end * 1000) > cue.end_ms]
    assert late == []


def test_silence_is_a_valid_file_without_cues():
    nothing = a_transcript()
    assert (as_srt(nothing), as_vtt(nothing), as_text(nothing)) == ("", "WEBVTT\n", "")
    assert list(webvtt.from_string(as_vtt(nothing))) == []


HOSTILE = "1 --> 2 <b>bold</b> & <v Eve>me</v> {\\an8}top <00:00:01.000> NOTE x\u2028y\x0bz \x00\x1b[31m &amp; STYLE ::cue"


def test_what_looks_like_syntax_is_text():
    transcript = a_transcript(said(HOSTILE, rate=20.0))
    shown = "".join(line for cue in cues_of(transcript) for line in cue.lines)
    captions = webvtt.from_string(as_vtt(transcript)).captions
    assert squeezed("".join(caption.text for caption in captions)) in {squeezed(shown), squeezed(escaped(shown))}
    read = pysubs2.SSAFile.from_string(as_srt(transcript), format_="srt")
    assert not any(tag in event.text for event in read for tag in ("{\\b1}", "{\\an8}"))
    assert len(list(srt.parse(as_srt(transcript), ignore_errors=False))) == len(cues_of(transcript))


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)
speakers = st.sampled_from([None, "SPEAKER_0", "SPEAKER_1", "<b> & -->"])


@st.composite
def transcripts(draw):
    segments, at = [], 0.0
    for _ in range(draw(st.integers(0, 4))):
        at = max(0.0, at + draw(st.floats(-5, 5)))
        speaker, texts, timed = draw(speakers), draw(st.lists(words, min_size=1, max_size=25)), []
        for text in texts:
            end = at + draw(st.floats(0.0, 12.0))
            timed.append(Word(word=text, start=at, end=end, confidence=None, speaker=speaker))
            at = end
        glue = draw(st.sampled_from([" ", ""]))
        kept = tuple(timed) if draw(st.booleans()) else ()
        whole = glue.join(texts)
        segments.append(Segment(start=timed[0].start, end=at + 0.1, text=whole, confidence=None, words=kept, speaker=speaker))
    return a_transcript(*segments)


@settings(max_examples=150, deadline=None)
@given(transcripts())
def test_whatever_was_said_keeps_the_limits_and_is_read_alike_by_every_parser(transcript):
    cues = assert_readable(transcript)
    for before, cue in zip([None, *cues], cues, strict=False):
        assert bool(cue.label) == (cue.speaker is not None and (before is None or before.speaker != cue.speaker))
    expected = "".join(cleaned(word.word) for segment in transcript.segments for word in segment.words if segment.words)
    if all(segment.words for segment in transcript.segments):
        in_order = sorted(squeezed("".join("".join(cue.lines) for cue in cues)))
        assert in_order == sorted(squeezed(expected))
    by_srt = list(srt.parse(as_srt(transcript), ignore_errors=False))
    by_vtt = webvtt.from_buffer(io.StringIO(as_vtt(transcript)), format="vtt").captions
    assert len(by_srt) == len(by_vtt) == len(cues)
    for cue, one, other in zip(cues, by_srt, by_vtt, strict=True):
        assert round(one.start.total_seconds() * 1000) == cue.start_ms
        assert round(one.end.total_seconds() * 1000) == cue.end_ms
        assert (other.start, other.end) == tuple(_time(moment, ".") for moment in (cue.start_ms, cue.end_ms))
        assert len(one.content.split("\n")) == len(cue.lines)
