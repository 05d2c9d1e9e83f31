"""Who said what, by the real models, on synthetic and on real speech."""

import wave

import msgspec
import numpy as np
import pytest

from bench.speech.scores import diarization_error_rate, wrong_speaker_rate
from deploy.local.sample_speech import dialogue
from services.transcriber.diarization.sherpa import SherpaDiarizer
from services.transcriber.ports import SpeechRequest
from services.transcriber.providers.decode import decoded
from services.transcriber.providers.whisper import WhisperProvider, WhisperSettings, whisper_pool
from services.transcriber.samples import RATE
from shared.domain.transcript import is_ordered

EXCERPT_S = 54.0  # of the dialogue, to the end of a turn
DEADLINE_S = 300


@pytest.fixture(scope="module")
def spoken():
    """The dialogue's first turns, and its samples."""
    sample = dialogue()
    samples = np.concatenate(list(decoded(sample.path)))[: round(EXCERPT_S * RATE)]
    return tuple(turn for turn in sample.turns if turn.end <= EXCERPT_S), samples


@pytest.fixture(scope="module")
def diarizer(voice_models):
    return SherpaDiarizer(voice_models)


@pytest.fixture(scope="module")
async def provider(whisper_model, voice_models):
    pool = whisper_pool(WhisperSettings(model_path=whisper_model, beam_size=1, diarization=voice_models), size=1)
    await pool.start()
    yield WhisperProvider(pool, time_limit_s=DEADLINE_S)
    await pool.stop()


def save(path, *channels):
    with wave.open(str(path), "wb") as file:
        file.setparams((len(channels), 2, RATE, 0, "NONE", ""))
        file.writeframes((np.stack(channels, axis=1) * 32767).astype("<i2").tobytes())
    return path


def ignore(_):
    pass


def told_apart(diarizer, samples, speakers=None, piece_s=20):
    listening = diarizer.listen(speakers)
    for start in range(0, len(samples), piece_s * RATE):
        listening.hear(samples[start : start + piece_s * RATE])
    return [(turn.start, turn.end, turn.speaker) for turn in listening.turns()]


def spans(turns):
    return [(turn.start, turn.end, turn.speaker) for turn in turns]


def by_speaker(parts):
    return [(word, part.speaker) for part in parts for word in part.text.split()]


def test_two_people_on_the_telephone_are_told_apart(diarizer, real_conversation):
    heard = told_apart(diarizer, np.concatenate(list(decoded(real_conversation.path))))
    assert len({speaker for *_, speaker in heard}) == 2
    assert diarization_error_rate(spans(real_conversation.turns), heard) <= 0.10


def test_speakers_are_the_same_people_over_all_stretches(voice_models, spoken):
    turns, samples = spoken
    stretched = SherpaDiarizer(msgspec.structs.replace(voice_models, stretch_s=39))
    heard = told_apart(stretched, samples, piece_s=13)
    assert len({speaker for *_, speaker in heard}) == 2
    assert diarization_error_rate(spans(turns), heard) <= 0.05


def test_a_known_number_of_speakers_is_kept_to(diarizer, real_conversation):
    samples = np.concatenate(list(decoded(real_conversation.path)))
    assert {speaker for *_, speaker in told_apart(diarizer, samples, speakers=1)} == {0}
    assert len({speaker for *_, speaker in told_apart(diarizer, samples, speakers=3)}) == 3


def test_more_speakers_than_can_be_heard_are_not_made_up(diarizer, spoken):
    heard = told_apart(diarizer, spoken[1][: 13 * RATE], speakers=20)
    assert len({speaker for *_, speaker in heard}) == 2


def test_silence_and_scraps_have_no_speaker(diarizer):
    assert told_apart(diarizer, np.zeros(12 * RATE, dtype=np.float32)) == []
    assert told_apart(diarizer, np.zeros(100, dtype=np.float32)) == []
    assert diarizer.listen().turns() == []


async def test_each_word_of_a_dialogue_has_its_speaker(provider, spoken, tmp_path):
    turns, samples = spoken
    seen = []
    path = save(tmp_path / "dialogue.wav", samples)
    transcript = await provider.transcribe(SpeechRequest(audio_path=path, language="en", diarization=True), seen.append)
    assert transcript.speaker_count == 2
    assert transcript.segments[0].speaker == "SPEAKER_0"
    assert wrong_speaker_rate(by_speaker(turns), by_speaker(transcript.segments)) <= 0.01
    assert all(word.speaker == segment.speaker for segment in transcript.segments for word in segment.words)
    assert is_ordered(transcript.segments)
    assert " ".join(segment.text for segment in transcript.segments) == transcript.text
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert (fractions[-1], seen[-1].stage) == (1.0, "diarizing")


async def test_who_talks_on_the_telephone_is_told_by_the_words_too(provider, real_conversation):
    request = SpeechRequest(audio_path=real_conversation.path, language="en", diarization=True)
    transcript = await provider.transcribe(request, ignore)
    assert transcript.speaker_count == 2
    assert wrong_speaker_rate(by_speaker(real_conversation.said), by_speaker(transcript.segments)) <= 0.10


async def test_without_diarization_there_is_no_speaker_anywhere(provider, real_conversation):
    transcript = await provider.transcribe(SpeechRequest(audio_path=real_conversation.path, language="en"), ignore)
    assert transcript.text
    assert transcript.speaker_count is None
    assert b"speaker" not in msgspec.json.encode(transcript.segments)


async def test_silence_is_an_empty_transcript_with_diarization_too(provider, tmp_path):
    path = save(tmp_path / "silence.wav", np.zeros(5 * RATE))
    transcript = await provider.transcribe(SpeechRequest(audio_path=path, diarization=True), ignore)
    assert (transcript.segments, transcript.text, transcript.speaker_count) == ((), "", None)


def a_channel_each(spoken, length_s):
    """The dialogue as a telephone system records it: the first voice on the left, the second on the right."""
    turns, samples = spoken
    length = round(length_s * RATE)
    channels = {name: np.zeros(length, dtype=np.float32) for name in ("S0", "S1")}
    for turn in turns:
        part = slice(round((turn.start - 0.15) * RATE), min(round((turn.end + 0.15) * RATE), length))
        if turn.end <= length_s:
            channels[turn.speaker][part] = samples[part]
    return [turn for turn in turns if turn.end <= length_s], channels["S0"], channels["S1"]


async def test_each_channel_is_a_speaker(provider, spoken, tmp_path):
    turns, left, right = a_channel_each(spoken, 38.5)
    path = save(tmp_path / "call.wav", right, left)
    request = SpeechRequest(audio_path=path, language="en", diarization=True, multichannel=True)
    transcript = await provider.transcribe(request, ignore)
    assert {segment.speaker for segment in transcript.segments} == {"SPEAKER_0", "SPEAKER_1"}
    first = transcript.segments[0]
    assert (first.speaker, "morning" in first.text) == ("SPEAKER_1", True), "the channel is the speaker's number"
    assert wrong_speaker_rate(by_speaker(turns), by_speaker(transcript.segments)) <= 0.01
    assert is_ordered(transcript.segments)
    assert transcript.duration_ms == 38_500


async def test_channels_without_diarization_are_heard_apart_and_not_named(provider, spoken, tmp_path):
    _, left, right = a_channel_each(spoken, 13.3)
    request = SpeechRequest(audio_path=save(tmp_path / "call.wav", left, right), language="en", multichannel=True)
    transcript = await provider.transcribe(request, ignore)
    assert "firmware" in transcript.text
    assert "failures" in transcript.text
    assert transcript.speaker_count is None


async def test_two_copies_of_one_channel_do_not_double_the_words(provider, spoken, tmp_path):
    samples = spoken[1][: 13 * RATE]
    request = SpeechRequest(
        audio_path=save(tmp_path / "both.wav", samples, samples * 0.5), language="en", diarization=True, multichannel=True
    )
    transcript = await provider.transcribe(request, ignore)
    assert transcript.text.lower().count("recorder firmware") == 1
    assert transcript.speaker_count == 2
