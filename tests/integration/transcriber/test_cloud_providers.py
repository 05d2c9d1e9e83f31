"""What every speech service must do with real speech: one suite, at servers that behave like the services and at the live ones.

Each test runs twice for each provider: `local` always, `live` where `EARWITNESS_TESTS_<PROVIDER>_KEY` is set, else it is skipped
and says so. What needs a service that misbehaves as told, or that tells what it was asked, can only be local: that is in
`test_cloud_exchanges.py` and, around a whole worker, in `test_remote_transcription.py` and `test_lost_answers.py`.
"""

import pytest

from services.transcriber.cloud_ports import Heard
from shared.domain.errors import FailureReason
from shared.domain.languages import LANGUAGES
from shared.domain.transcript import is_ordered
from shared.domain.transcription import ProviderName
from tests.integration.transcriber.cloud_client import ENGLISH, Client, failure_of, side_by_side, silence
from tests.integration.transcriber.speech_services import CONVERSATION_URL, only
from tests.speech import word_error_rate

CLOSE = 0.25
"""The share of words that a service may hear otherwise, on the telephone and of people who talk into each other's words."""
NO_AUDIO = b"This is a letter, and whoever sends it for a recording is mistaken. " * 200
WRONG = "not-a-key-of-anybody"
UNHEARABLE = {FailureReason.AUDIO_CORRUPT, FailureReason.UNSUPPORTED_FORMAT}


@pytest.fixture
async def client(service):
    made = Client(service)
    yield made
    await made.close()


@pytest.fixture
async def another(service):
    """A second one, as after a restart: it knows nothing of what the first did."""
    made = Client(service)
    yield made
    await made.close()


@pytest.fixture
def conversation(real_conversation):
    return real_conversation.path.read_bytes()


def words_of(transcript):
    return [word for segment in transcript.segments for word in segment.words]


def speakers_of(transcript):
    return list(dict.fromkeys(word.speaker for word in words_of(transcript)))


def assert_promised(transcript):
    """What the one form of a transcript promises, whoever answered."""
    words = words_of(transcript)
    assert is_ordered(transcript.segments)
    assert transcript.word_count == len(words)
    assert transcript.text == " ".join(segment.text for segment in transcript.segments)
    assert all(0 <= word.start < word.end <= transcript.duration_ms / 1000 + 0.1 for word in words)
    assert all(0 <= word.confidence <= 1 for word in words)
    assert all(word.word == word.word.strip() != "" for word in words)
    assert all({word.speaker for word in segment.words} == {segment.speaker} for segment in transcript.segments)
    assert 0 < transcript.confidence <= 1


async def test_real_speech_becomes_the_one_form_of_a_transcript_with_its_speakers(client, real_conversation, conversation):
    transcript = await client.heard(client.order(conversation))
    assert_promised(transcript)
    assert word_error_rate(real_conversation.text, transcript.text) < CLOSE
    assert speakers_of(transcript) == ["SPEAKER_0", "SPEAKER_1"]
    assert abs(transcript.duration_ms - 30_000) <= 1000


async def test_the_language_is_detected_and_told_in_the_providers_form(client, conversation):
    transcript = await client.heard(client.order(conversation))
    assert transcript.language in {"en", "eng"} | {ENGLISH[client.service.name]}
    assert LANGUAGES[ProviderName(client.service.name)].accept(transcript.language) is not None


async def test_what_is_said_is_punctuated(client, conversation):
    text = (await client.heard(client.order(conversation))).text
    assert text[0].isupper()
    assert sum(text.count(mark) for mark in ".,?!") >= 5


async def test_the_answer_is_one_that_the_providers_own_sdk_reads(client, conversation):
    transcript = await client.heard(client.order(conversation))
    read = client.read_by_sdk()
    heard = read.results.channels[0].alternatives[0] if client.service.name == "deepgram" else read
    spoken = [word for word in heard.words if getattr(word, "type", "word") == "word"]
    assert len(spoken) == transcript.word_count
    assert word_error_rate(getattr(heard, "text", None) or heard.transcript, transcript.text) == 0


async def test_without_diarization_nobody_is_named(client, real_conversation, conversation):
    transcript = await client.heard(client.order(conversation, diarization=False))
    assert_promised(transcript)
    assert word_error_rate(real_conversation.text, transcript.text) < CLOSE
    assert speakers_of(transcript) == [None]


async def test_what_is_known_of_the_speech_is_taken(client, real_conversation, conversation):
    known = {"language": ENGLISH[client.service.name], "num_speakers": 2, "vocabulary": ("New Jersey", "Yankee")}
    transcript = await client.heard(client.order(conversation, **known))
    assert_promised(transcript)
    assert word_error_rate(real_conversation.text, transcript.text) < CLOSE
    assert len(speakers_of(transcript)) == 2
    assert transcript.language.startswith("en")


async def test_who_speaks_on_a_channel_of_their_own_is_told_by_it(client, real_speech, real_conversation):
    both = side_by_side(real_speech.path, real_conversation.path)
    transcript = await client.heard(client.order(both, multichannel=True))
    assert_promised(transcript)
    said = {
        speaker: " ".join(word.word for word in words_of(transcript) if word.speaker == speaker)
        for speaker in speakers_of(transcript)
    }
    assert list(said) == ["SPEAKER_0", "SPEAKER_1"]
    assert word_error_rate(real_speech.text, said["SPEAKER_0"]) < CLOSE
    assert word_error_rate(real_conversation.text, said["SPEAKER_1"]) < CLOSE


async def test_a_channel_is_the_speaker_of_its_number_whoever_speaks_first(client, real_speech, real_conversation):
    both = side_by_side(real_conversation.path, real_speech.path)
    transcript = await client.heard(client.order(both, multichannel=True))
    said = " ".join(word.word for word in words_of(transcript) if word.speaker == "SPEAKER_0")
    assert word_error_rate(real_conversation.text, said) < CLOSE


async def test_without_diarization_channels_are_heard_apart_and_nobody_is_named(client, real_speech, real_conversation):
    both = side_by_side(real_speech.path, real_conversation.path)
    named = await client.heard(client.order(both, multichannel=True))
    transcript = await client.heard(client.order(both, multichannel=True, diarization=False))
    assert_promised(transcript)
    assert speakers_of(transcript) == [None]
    assert transcript.text == named.text


async def test_audio_may_be_fetched_by_its_url(client, real_conversation):
    if client.service.audio_url is None:
        pytest.skip(f"no URL: {CONVERSATION_URL} does not say where the live service can fetch the conversation")
    transcript = await client.heard(client.order(b"", url=client.service.audio_url))
    assert word_error_rate(real_conversation.text, transcript.text) < CLOSE


async def test_audio_that_cannot_be_fetched_fails_and_is_not_tried_for_ever(client):
    failure, _ = await failure_of(client.heard(client.order(b"", url=client.service.nowhere)))
    assert failure.reason is FailureReason.PROCESSING_ERROR


async def test_silence_is_an_empty_transcript_of_no_language_but_the_one_given(client):
    transcript = await client.heard(client.order(silence(5), duration_ms=5000))
    assert (transcript.text, transcript.segments, transcript.word_count, transcript.language) == ("", (), 0, None)
    given = ENGLISH[client.service.name]
    transcript = await client.heard(client.order(silence(5), duration_ms=5000, language=given))
    assert (transcript.text, transcript.language) == ("", given)


async def test_audio_that_is_too_short_fails_with_its_reason_or_says_nothing(client):
    failure, transcript = await failure_of(client.heard(client.order(silence(0.05), duration_ms=50)))
    assert failure.reason is FailureReason.AUDIO_TOO_SHORT if failure else transcript.text == ""


async def test_what_is_no_audio_fails_with_its_reason(client):
    failure, _ = await failure_of(client.heard(client.order(NO_AUDIO)))
    assert failure.reason in UNHEARABLE


async def test_a_wrong_key_is_not_the_audios_fault_and_not_told(client, conversation):
    order = client.order(conversation, key=WRONG)
    failure, _ = await failure_of(client.place(order))
    assert failure.reason is FailureReason.PROVIDER_NOT_CONFIGURED
    assert WRONG not in str(failure)
    if client.provider.keeps("1"):
        failure, _ = await failure_of(client.provider.forget(WRONG, "1"))
        assert failure.reason is FailureReason.PROVIDER_NOT_CONFIGURED


async def test_a_result_is_had_by_whoever_comes_next(client, another, conversation):
    order = client.order(conversation)
    placed = await client.place(order)
    first = await client.finished(order, placed)
    assert_promised(first)
    if isinstance(placed, Heard):  # in the exchange: of what we kept of it
        assert another.provider.read(placed.body, order).transcript == first
    if placed.job_id is not None:  # of what is kept there
        assert await another.collected(order, placed.job_id) == first


@only("assemblyai")
async def test_an_upload_is_ordered_once_whoever_asks(client, another, conversation):
    order = client.order(conversation)
    uploaded = await client.place(order)
    ordered = await client.provider.collect(order, uploaded.job_id)
    client._note(ordered)
    assert await another.provider.collect(order, uploaded.job_id) == ordered
    assert await another.provider.recover(client.order(conversation)) is None


async def test_what_the_service_keeps_is_deleted_there_once_and_for_all(client, another, conversation):
    order = client.order(conversation)
    await client.heard(order)
    for job_id in client.ordered:
        await client.provider.forget(client.service.key, job_id)
        await client.provider.forget(client.service.key, job_id)  # gone already: no error
        failure, kept = await failure_of(another.provider.collect(order, job_id))
        assert failure or kept is None
    assert bool(client.ordered) == (client.service.name != "deepgram")  # it keeps nothing
