"""Transcriptions: two routes, one job, one active at a time (contract A12, A13, A15)."""

import asyncio

import msgspec
import pytest

from services.transcriber.job_rules import TranscriptionJobRules
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.job import JobStatus
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import RecordingStatus
from shared.domain.tenant import Tenant
from shared.domain.transcript import Segment, Word, transcript_of
from shared.domain.transcription import Redaction, SpeechOptions, TranscriptionStatus
from shared.events.transcription import TranscriptionCompleted, transcription_event


async def ready(api, status=RecordingStatus.UPLOADED):
    """Return a recording whose audio is stored."""
    recording = await api.recording()
    audio = Media(
        id="med_1", type=MediaType.AUDIO, content_type="audio/wav", object_key="k", status=MediaStatus.UPLOADED, created_at=now()
    )
    documents = api.stores.recordings.documents
    documents[recording["id"]] = msgspec.structs.replace(documents[recording["id"]], status=status, media=(audio,))
    return recording


def ended(api, transcription_id, status=TranscriptionStatus.COMPLETED, **fields):
    documents = api.stores.transcriptions.documents
    present = documents[transcription_id]
    documents[transcription_id] = msgspec.structs.replace(
        present, status=status, active=False, job=present.job.ended(JobStatus.COMPLETED), completed_at=now(), **fields
    )


@pytest.mark.parametrize("route", ["transcribe", "transcriptions"])
async def test_both_routes_start_the_same_job(api, route):
    recording = await ready(api)
    if route == "transcribe":
        response = await api.call("POST", f"/recordings/{recording['id']}/transcribe")
    else:
        response = await api.call("POST", "/transcriptions", {"recording_id": recording["id"]})
    body = response.json()
    assert response.status_code == 201
    assert body["id"].startswith("txn_")
    assert (body["recording_id"], body["status"], body["provider"]) == (recording["id"], "pending", "whisper")
    assert body["diarization"] is True
    for name in ("language", "text", "full_text", "segments", "error", "completed_at", "duration_ms"):
        assert body[name] is None
    assert await api.ok("GET", f"/transcriptions/{body['id']}") == body
    assert api.events(body["id"]) == ["transcription.queued"]
    shown = await api.ok("GET", f"/recordings/{recording['id']}")
    assert (shown["transcription_id"], shown["status"]) == (body["id"], "uploaded")


async def test_the_provider_is_the_requests_else_that_of_the_configuration_else_whisper(api):
    async def started(**body):
        return (await api.ok("POST", f"/recordings/{(await ready(api))['id']}/transcribe", body))["provider"]

    for provider in ("deepgram", "elevenlabs"):
        await api.ok("PUT", f"/provider-keys/{provider}", {"api_key": "0123456789abcdef"})
    assert await started() == "whisper"
    await api.ok("PUT", f"/projects/{api.project_id}/config/processing", {"auto_transcription": {"provider": "deepgram"}})
    assert await started() == "deepgram"
    assert await started(provider="whisper") == "whisper"
    end_user = f"/end-users/{await api.someone()}/config/processing"
    await api.ok("PUT", end_user, {"auto_transcription": {"provider": "elevenlabs"}})
    assert (await started(), await started(provider="deepgram")) == ("elevenlabs", "deepgram")
    await api.call("DELETE", "/provider-keys/elevenlabs")
    refused = await api.refused("POST", f"/recordings/{(await ready(api))['id']}/transcribe")
    assert (refused[:2], refused[2]["param"]) == ((400, "provider_not_configured"), "provider")


async def test_what_the_caller_knows_and_wants_reaches_the_job(api):
    recording = await ready(api)
    wanted = {
        "num_speakers": 2,
        "multichannel": True,
        "prompt": "A call about firmware.",
        "vocabulary": ["Opus", "Dashwood", "Opus"],
        "redact": ["profanity", "numbers", "numbers"],
    }
    body = await api.ok("POST", f"/recordings/{recording['id']}/transcribe", wanted)
    assert (body["num_speakers"], body["multichannel"], body["redact"]) == (2, True, ["numbers", "profanity"])
    assert body["speaker_count"] is None
    assert not {"prompt", "vocabulary"} & set(body)
    assert api.stores.transcriptions.documents[body["id"]].options == SpeechOptions(
        num_speakers=2,
        multichannel=True,
        prompt="A call about firmware.",
        vocabulary=("Opus", "Dashwood"),
        redact=(Redaction.NUMBERS, Redaction.PROFANITY),
    )


async def test_nothing_is_hidden_or_known_unless_it_is_said(api):
    recording = await ready(api)
    nothing = {"num_speakers": None, "multichannel": None, "prompt": None, "vocabulary": None, "redact": None}
    body = await api.ok("POST", f"/recordings/{recording['id']}/transcribe", nothing)
    assert api.stores.transcriptions.documents[body["id"]].options == SpeechOptions()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_speakers", 0),
        ("num_speakers", 21),
        ("num_speakers", "2"),
        ("multichannel", "yes"),
        ("prompt", "x" * 1001),
        ("vocabulary", ["x" * 65]),
        ("vocabulary", ["x"] * 101),
        ("redact", ["names"]),
        ("redact", "numbers"),
    ],
)
async def test_an_option_that_cannot_be_is_refused_by_name(api, field, value):
    recording = await ready(api)
    status, code, error = await api.refused("POST", f"/recordings/{recording['id']}/transcribe", {field: value})
    assert (status, code) == (400, "invalid_request")
    assert error["param"].startswith(field)


async def test_only_one_is_active_at_a_time(api):
    recording = await ready(api)
    first = await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    status, code, error = await api.refused("POST", "/transcriptions", {"recording_id": recording["id"]})
    assert (status, code, error["details"]) == (409, "transcription_in_progress", {"transcription_id": first["id"]})


async def test_whoever_saw_a_transcription_completed_starts_the_next_though_the_recording_does_not_show_it_yet(api):
    recording = await ready(api)
    first = await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    documents = api.stores.recordings.documents
    documents[recording["id"]] = msgspec.structs.replace(documents[recording["id"]], status=RecordingStatus.PROCESSING)
    ended(api, first["id"])
    second = await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["transcription_id"] == second["id"] != first["id"]


async def test_a_recording_being_processed_is_in_progress_not_unready(api):
    recording = await ready(api)
    await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    documents = api.stores.recordings.documents
    documents[recording["id"]] = msgspec.structs.replace(documents[recording["id"]], status=RecordingStatus.PROCESSING)
    assert (await api.refused("POST", f"/recordings/{recording['id']}/transcribe"))[:2] == (409, "transcription_in_progress")


async def test_a_rerun_is_a_new_transcription_and_the_older_one_stays_readable(api):
    recording = await ready(api)
    first = await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    ended(api, first["id"])
    second = await api.ok("POST", f"/recordings/{recording['id']}/transcribe", {"diarization": False, "language": "de"})
    assert second["id"] != first["id"]
    assert (second["diarization"], second["language"]) == (False, "de")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["transcription_id"] == second["id"]
    assert (await api.ok("GET", f"/transcriptions/{first['id']}"))["status"] == "completed"


@pytest.mark.parametrize("status", [RecordingStatus.PENDING, RecordingStatus.FAILED, RecordingStatus.INTEGRITY_FAILURE])
async def test_without_audio_the_recording_is_not_ready(api, status):
    recording = await ready(api, status)
    refused, code, error = await api.refused("POST", f"/recordings/{recording['id']}/transcribe")
    assert (refused, code, error["details"]["current_status"]) == (400, "recording_not_ready", status)


async def test_a_streaming_upload_is_not_ready_before_its_chunks_are_joined(api):
    recording = await api.streamed(1)
    await api.ok("POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 1, "final_duration_ms": 1})
    status, code, error = await api.refused("POST", f"/recordings/{recording['id']}/transcribe")
    assert (status, code) == (400, "recording_not_ready")
    assert error["details"] == {"current_status": "uploaded", "stitching": "queued"}


@pytest.mark.parametrize(("given", "kept"), [("en", "en"), ("en-US", "en"), ("EN_gb", "en"), ("haw", "haw")])
async def test_languages_are_brought_into_the_providers_form(api, given, kept):
    recording = await ready(api)
    assert (await api.ok("POST", f"/recordings/{recording['id']}/transcribe", {"language": given}))["language"] == kept


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"language": "klingon"}, "unsupported_language", "language"),
        ({"language": "xx"}, "unsupported_language", "language"),
        ({"language": "eng"}, "unsupported_language", "language"),
        ({"language": 5}, "invalid_request", "language"),
        ({"provider": "deepgram"}, "provider_not_configured", "provider"),
        ({"provider": "parrot"}, "invalid_request", "provider"),
        ({"diarization": "yes"}, "invalid_request", "diarization"),
    ],
)
async def test_a_wrong_wish_is_refused_by_field(api, body, code, param):
    recording = await ready(api)
    status, found, error = await api.refused("POST", f"/recordings/{recording['id']}/transcribe", body)
    assert (status, found, error["param"]) == (400, code, param)


async def test_an_unsupported_language_names_the_accepted_form(api):
    recording = await ready(api)
    _, _, error = await api.refused("POST", f"/recordings/{recording['id']}/transcribe", {"language": "xx"})
    assert "ISO 639-1" in error["message"]


async def test_a_transcription_needs_a_recording_that_exists(api):
    assert (await api.refused("POST", "/transcriptions", {"recording_id": "rec_none"}))[:2] == (404, "not_found")
    assert (await api.refused("POST", "/transcriptions", {}))[2]["param"] == "recording_id"


async def test_a_completed_transcription_shows_its_text_twice_and_its_segments(api):
    recording = await ready(api)
    started = await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    word = Word(word="Hello", start=0.1, end=0.5, confidence=0.9)
    said = Segment(start=0.1, end=0.5, text="Hello", confidence=0.9, words=(word,))
    transcript = transcript_of([said], language="en", duration_ms=1000)
    api.stores.transcripts.kept[Tenant(api.project_id), started["id"]] = transcript
    assert (await api.ok("GET", f"/transcriptions/{started['id']}"))["text"] is None
    ended(api, started["id"], language="en", word_count=1, confidence=0.9, duration_ms=1000)
    shown = await api.ok("GET", f"/transcriptions/{started['id']}")
    assert shown["text"] == shown["full_text"] == "Hello"
    assert shown["segments"] == [
        {
            "start": 0.1,
            "end": 0.5,
            "text": "Hello",
            "confidence": 0.9,
            "words": [{"word": "Hello", "start": 0.1, "end": 0.5, "confidence": 0.9}],
        }
    ]
    assert (shown["language"], shown["word_count"], shown["duration_ms"]) == ("en", 1, 1000)


async def test_a_recording_is_reflected_later_when_it_cannot_be_now(api):
    recording = await ready(api)
    reflect = api.stores.recordings.reflect
    api.stores.recordings.reflect = broken
    try:
        started = await api.ok("POST", f"/recordings/{recording['id']}/transcribe")
    finally:
        api.stores.recordings.reflect = reflect
    assert api.events(started["id"]) == ["transcription.queued"]


async def broken(_event):
    raise TransientFailure("down")


async def test_a_run_that_is_cancelled_does_not_hide_the_end_of_the_one_before(api):
    recording = await ready(api)
    path = f"/recordings/{recording['id']}/transcribe"
    first = (await api.ok("POST", path))["id"]
    documents = api.stores.recordings.documents
    documents[recording["id"]] = msgspec.structs.replace(documents[recording["id"]], status=RecordingStatus.PROCESSING)
    ended(api, first, version=3)  # its event is still on its way
    second = (await api.ok("POST", path))["id"]
    await api.ok("POST", f"/transcriptions/{second}/cancel")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "completed"


async def told(api, transcription_id):
    """Let it be claimed and completed, and the recording show both; what the recording showed in between."""
    stores = api.stores
    waiting = stores.transcriptions.documents[transcription_id]
    running, (started,) = TranscriptionJobRules().claimed(waiting, waiting.job.claimed("w", now(), 30))
    await stores.recordings.reflect_all([started])
    shown = await api.ok("GET", f"/recordings/{waiting.recording_id}")
    stores.transcriptions.documents[transcription_id] = running
    ended(api, transcription_id, version=running.version + 1)
    done = transcription_event(TranscriptionCompleted, stores.transcriptions.documents[transcription_id])
    await stores.recordings.reflect_all([done])
    return shown["status"], shown["transcription_id"]


async def test_a_key_that_was_refused_for_the_moment_makes_the_newest_when_it_is_served(api):
    recording = await ready(api, RecordingStatus.PROCESSING)
    path, key = f"/recordings/{recording['id']}/transcribe", {"Idempotency-Key": "once-more"}
    assert not (await api.call("POST", path, {}, headers=key)).is_success
    await asyncio.sleep(0.02)  # ids are of milliseconds
    documents = api.stores.recordings.documents
    documents[recording["id"]] = msgspec.structs.replace(documents[recording["id"]], status=RecordingStatus.UPLOADED)
    first = (await api.ok("POST", path))["id"]
    assert await told(api, first) == ("processing", first)
    served = await api.call("POST", path, {}, headers=key)
    second = served.json()["id"]
    assert (served.status_code, second > first) == (201, True)
    assert (await api.refused("POST", path))[2]["details"]["transcription_id"] == second
    assert await told(api, second) == ("processing", second)
    assert (await api.call("POST", path, {}, headers=key)).json()["id"] == second
    shown = await api.ok("GET", f"/recordings/{recording['id']}")
    assert (shown["status"], shown["transcription_id"]) == ("completed", second)
