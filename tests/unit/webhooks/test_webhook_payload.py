"""What a webhook says."""

import json

import msgspec
import pytest

from shared.domain.clock import wire_time
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import RecordingStatus
from shared.events.payload import TRANSCRIPT_LIMIT_BYTES, body_of
from shared.events.recording import RecordingDeleted, RecordingFailed, RecordingStitched, recording_event, upload_claimed
from shared.events.transcription import TranscriptionFailed, TranscriptionQueued, TranscriptionStarted, transcription_event
from tests.fakes.webhook_facts import a_completion, a_creation, a_recording, a_transcript, a_transcription, an_upload


def read(event, transcript=None):
    return json.loads(body_of(event, transcript))


@pytest.mark.parametrize("kind", [RecordingStitched, RecordingFailed, RecordingDeleted])
def test_a_recording_event_carries_the_recording_as_the_api_shows_it(kind):
    recording = a_recording()
    event = recording_event(kind, recording)
    body = read(event)
    assert list(body) == ["id", "type", "created_at", "data"]
    assert (body["id"], body["type"], body["created_at"]) == (event.event_id, event.type, wire_time(event.occurred_at))
    assert body["data"]["id"] == recording.id
    assert body["data"]["metadata"] == recording.metadata
    assert body["data"]["duration_seconds"] == 1848  # rounded, as in the API
    assert "object_key" not in json.dumps(body)


def test_an_upload_says_what_was_uploaded():
    data = read(an_upload())["data"]
    assert (data["duration_seconds"], data["file_size_bytes"], data["format"]) == (1847.5, 59_120, "wav")
    assert data["status"] == "uploaded"
    assert data["uploaded_at"].endswith("Z")


def test_an_upload_of_which_nothing_is_known_yet_says_so():
    data = read(an_upload(media=(), duration_ms=None))["data"]
    assert (data["duration_seconds"], data["file_size_bytes"], data["format"]) == (None, None, None)


@pytest.mark.parametrize(
    ("kind", "content_type", "form"), [(MediaType.AUDIO, "audio/wav", "wav"), (MediaType.VIDEO, "video/mp4", "mp4")]
)
def test_the_audio_or_else_the_video_counts_though_pictures_came_with_it(kind, content_type, form):
    recording = a_recording()
    (sound,) = [msgspec.structs.replace(media, type=kind, content_type=content_type) for media in recording.media]
    picture = Media(
        id="med_2",
        type=MediaType.IMAGE,
        content_type="image/png",
        object_key="p",
        status=MediaStatus.UPLOADED,
        file_size_bytes=1,
        created_at=recording.created_at,
    )
    data = read(an_upload(media=(sound, picture)))["data"]
    assert (data["file_size_bytes"], data["format"], data["mime_type"]) == (59_120, form, content_type)


def test_other_recording_events_have_no_upload_fields():
    data = read(a_creation())["data"]
    assert "format" not in data
    assert data["file_size_bytes"] is None


@pytest.mark.parametrize("kind", [TranscriptionQueued, TranscriptionStarted, TranscriptionFailed])
def test_a_transcription_without_text_has_none(kind):
    data = read(transcription_event(kind, a_transcription()))["data"]
    assert (data["text"], data["full_text"], data["segments"]) == (None, None, None)


def test_a_completed_transcription_has_its_text_segments_and_words():
    data = read(a_completion(), a_transcript(words=2))["data"]
    assert data["text"] == data["full_text"] == "word0 word1"
    (segment,) = data["segments"]
    assert segment["speaker"] == "SPEAKER_0"
    assert segment["words"][1] == {"word": "word1", "start": 0.5, "end": 0.9, "confidence": 0.9}
    assert "truncated" not in data


def test_the_text_is_left_out_exactly_above_the_limit():
    def size(words):
        transcript = a_transcript(words=words)
        return len(body_of(a_completion(), transcript)), "truncated" in read(a_completion(), transcript)["data"]

    low, high = 1, 10_000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle)[1] else (middle, high)
    assert TRANSCRIPT_LIMIT_BYTES - 1_000 < size(low)[0] < TRANSCRIPT_LIMIT_BYTES + 2_000
    assert size(high)[0] < 2_000


def test_a_transcript_that_is_gone_leaves_the_rest():
    data = read(a_completion())["data"]
    assert data["truncated"] is True
    assert "text" not in data


def test_an_internal_event_has_no_body():
    with pytest.raises(TypeError):
        body_of(upload_claimed(a_recording()), None)


def test_the_same_event_gives_the_same_bytes():
    event, transcript = a_completion(), a_transcript()
    assert body_of(event, transcript) == body_of(event, transcript)


def test_a_status_on_the_wire_is_a_plain_word():
    assert read(an_upload(status=RecordingStatus.UPLOADED))["data"]["status"] == "uploaded"
