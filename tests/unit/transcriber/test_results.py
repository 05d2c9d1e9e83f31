"""What a transcription was asked with reaches the provider, and what it must not show reaches no store."""

from contextlib import asynccontextmanager

import pytest
from prometheus_client import REGISTRY

from services.transcriber.store_result import StoreResult
from services.transcriber.transcribe import TranscribeRecording
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcript import Segment, Word, transcript_of
from shared.domain.transcription import (
    ProviderName,
    Redaction,
    SpeechOptions,
    TranscriptionRequest,
    TranscriptionStatus,
    queued_transcription,
)


def said(text, speaker, start):
    words = tuple(
        Word(word=word, start=start + number, end=start + number + 0.5, confidence=0.5, speaker=speaker)
        for number, word in enumerate(text.split())
    )
    return Segment(start=start, end=words[-1].end, text=text, confidence=0.5, words=words, speaker=speaker)


SPOKEN = transcript_of([said("My pin is 4711.", "SPEAKER_0", 0), said("Damn.", "SPEAKER_1", 5)], language="en", duration_ms=9000)
AT = now()
AUDIO = Media(
    id=new_id("med"), type=MediaType.AUDIO, content_type="audio/ogg", object_key="k", status=MediaStatus.UPLOADED, created_at=AT
)


class World:
    """The stores and the provider, in memory."""

    name = "whisper"

    def __init__(self, options, diarization=True, spoken=SPOKEN):
        self.spoken = spoken
        self.recording = Recording(
            id=new_id("rec"),
            project_id=new_id("proj"),
            mode=Mode.LIVE,
            status=RecordingStatus.UPLOADED,
            media=(AUDIO,),
            duration_ms=9000,
            created_at=AT,
            updated_at=AT,
        )
        request = TranscriptionRequest(language="en-US", diarization=diarization, options=options)
        queued = queued_transcription(new_id("txn"), self.recording, request)
        self.transcription = queued.changed(status=TranscriptionStatus.PROCESSING, job=queued.job.claimed("test", AT, 30))
        self.asked, self.stored = None, None

    async def get(self, *_):
        return self.recording

    async def download(self, key, path, *, etag=None):
        path.write_bytes(b"")

    async def transcribe(self, request, on_progress):
        self.asked = request
        return self.spoken

    async def put(self, transcription, transcript):
        self.stored = transcript
        return True

    async def finish(self, claimed, change):
        self.transcription, self.events = change(claimed)
        return self.transcription

    @asynccontextmanager
    async def of(self, transcription):
        yield lambda _: None


@pytest.fixture
def transcribed(tmp_path):
    async def transcribe(options, **request):
        world = World(options, **request)
        verb = TranscribeRecording(
            recordings=world,
            store=world,
            results=StoreResult(world, world, {ProviderName.WHISPER: 0.36}),
            providers=(world,),
            progress=world,
            spool=tmp_path,
        )
        await verb(world.transcription)
        return world

    return transcribe


async def test_the_provider_is_told_all_that_was_asked(transcribed):
    options = SpeechOptions(num_speakers=3, multichannel=True, prompt="A call.", vocabulary=("Opus", "Ann"))
    asked = (await transcribed(options)).asked
    assert (asked.num_speakers, asked.multichannel, asked.hints) == (3, True, "A call. Opus, Ann")
    assert (asked.language, asked.diarization, asked.duration_ms) == ("en", True, 9000)


async def test_nothing_asked_is_nothing_told(transcribed):
    asked = (await transcribed(SpeechOptions(), diarization=False)).asked
    assert (asked.num_speakers, asked.multichannel, asked.hints, asked.diarization) == (None, False, None, False)


async def test_what_must_not_be_shown_is_not_stored(transcribed):
    world = await transcribed(SpeechOptions(redact=(Redaction.NUMBERS, Redaction.PROFANITY)))
    assert world.stored.text == "My pin is ####. D***."
    assert [word.word for segment in world.stored.segments for word in segment.words] == ["My", "pin", "is", "####.", "D***."]
    assert world.transcription.word_count == 5


async def test_a_transcript_is_stored_as_it_is_unless_asked_otherwise(transcribed):
    assert (await transcribed(SpeechOptions())).stored is SPOKEN


async def test_the_transcription_says_how_many_speakers_were_told_apart(transcribed):
    world = await transcribed(SpeechOptions())
    assert world.transcription.speaker_count == 2
    (event,) = world.events
    assert event.transcription.speaker_count == 2


async def test_silence_is_completed_with_an_empty_transcript(transcribed):
    silence = transcript_of([], language=None, duration_ms=20_000)
    world = await transcribed(SpeechOptions(), spoken=silence)
    present = world.transcription
    assert (world.stored.text, world.stored.segments) == ("", ())
    assert (present.status, present.failure, present.active) == (TranscriptionStatus.COMPLETED, None, False)
    assert (present.word_count, present.speaker_count, present.duration_ms) == (0, None, 20_000)
    assert [event.type for event in world.events] == ["transcription.completed"]


async def test_seconds_and_their_cost_are_counted_by_project(transcribed):
    world = await transcribed(SpeechOptions())
    labels = {"provider": "whisper", "project_id": world.transcription.project_id}
    assert REGISTRY.get_sample_value("earwitness_transcribed_seconds_total", labels) == 9.0
    assert REGISTRY.get_sample_value("earwitness_transcription_cost_total", labels) == pytest.approx(9.0 / 3600 * 0.36)
