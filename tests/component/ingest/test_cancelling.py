"""Cancelling transcriptions, and the place of those that wait."""

from datetime import datetime, timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.recording import RecordingStatus
from shared.domain.transcription import TranscriptionStatus
from tests.component.ingest.test_transcribing import ended, ready


async def started(api, **body):
    recording = await ready(api)
    return await api.ok("POST", f"/recordings/{recording['id']}/transcribe", body)


def claimed(api, transcription_id):
    documents = api.stores.transcriptions.documents
    present = documents[transcription_id]
    job = present.job.claimed("worker", now(), 30)
    documents[transcription_id] = present.changed(status=TranscriptionStatus.PROCESSING, started_at=now(), job=job)


@pytest.mark.parametrize("running", [False, True])
async def test_one_that_waits_or_runs_ends_at_once_and_another_may_be_started(api, running):
    transcription = await started(api)
    if running:
        claimed(api, transcription["id"])
        recordings = api.stores.recordings.documents
        present = recordings[transcription["recording_id"]]
        recordings[present.id] = msgspec.structs.replace(present, status=RecordingStatus.PROCESSING)
    answer = await api.ok("POST", f"/transcriptions/{transcription['id']}/cancel")
    assert (answer["status"], answer["error"]["code"], answer["progress"]) == ("failed", "cancelled", None)
    assert (await api.ok("GET", f"/recordings/{transcription['recording_id']}"))["status"] == "uploaded"
    assert api.events(transcription["id"])[-1] == "transcription.failed"
    kept = api.stores.transcriptions.documents[transcription["id"]]
    assert (kept.job.worker, kept.job.available_at, kept.active) == (None, None, False)
    again = await api.ok("POST", f"/recordings/{transcription['recording_id']}/transcribe")
    assert again["id"] != transcription["id"]


async def test_cancelling_again_changes_nothing(api):
    transcription = await started(api)
    first = await api.call("POST", f"/transcriptions/{transcription['id']}/cancel")
    second = await api.call("POST", f"/transcriptions/{transcription['id']}/cancel")
    assert first.content == second.content
    assert api.events(transcription["id"]).count("transcription.failed") == 1


async def test_one_that_has_ended_by_itself_is_not_cancelled(api):
    transcription = await started(api)
    ended(api, transcription["id"])
    status, code, error = await api.refused("POST", f"/transcriptions/{transcription['id']}/cancel")
    assert (status, code, error["details"]) == (409, "transcription_ended", {"current_status": "completed"})


async def test_nobody_elses_transcription_can_be_cancelled(api):
    transcription = await started(api)
    other = await api.new_key(api.project_id, mode="test")
    assert (await api.refused("POST", f"/transcriptions/{transcription['id']}/cancel", secret=other))[:2] == (404, "not_found")


async def test_the_place_in_the_queue_counts_those_that_go_first(api):
    first, second = await started(api), await started(api)
    urgent = await started(api, priority="high")
    places = {
        item["id"]: (await api.ok("GET", f"/transcriptions/{item['id']}"))["queue_position"] for item in (first, second, urgent)
    }
    assert places == {urgent["id"]: 1, first["id"]: 2, second["id"]: 3}
    claimed(api, urgent["id"])
    assert (await api.ok("GET", f"/transcriptions/{urgent['id']}"))["queue_position"] is None
    assert (await api.ok("GET", f"/transcriptions/{second['id']}"))["queue_position"] == 2


async def test_the_start_is_foretold_from_how_long_the_last_ones_took(api):
    done, first, second = await started(api), await started(api), await started(api)
    assert (await api.ok("GET", f"/transcriptions/{second['id']}"))["estimated_start_at"] is None
    ended(api, done["id"], started_at=now() - timedelta(seconds=60))
    kept = api.stores.transcriptions.documents[second["id"]]
    estimate = await api.ok("GET", f"/transcriptions/{kept.id}")
    assert estimate["queue_position"] == 2
    assert estimate["estimated_start_at"] > (now() + timedelta(seconds=50)).isoformat()[:19]
    assert (await api.ok("GET", f"/transcriptions/{first['id']}"))["queue_position"] == 1


async def test_the_start_is_foretold_from_how_many_of_the_project_run_at_once(api):
    done, *running = [await started(api) for _ in range(3)]
    waiting = [await started(api) for _ in range(3)]
    ended(api, done["id"], started_at=now() - timedelta(seconds=60))
    for one in running:
        claimed(api, one["id"])
    before = now()
    estimate = (await api.ok("GET", f"/transcriptions/{waiting[2]['id']}"))["estimated_start_at"]
    foretold_s = (datetime.fromisoformat(estimate) - before).total_seconds()
    assert 59 < foretold_s < 90  # two ahead, two at once: one round, of a minute


async def test_an_unknown_priority_is_refused(api):
    recording = await ready(api)
    status, code, error = await api.refused("POST", f"/recordings/{recording['id']}/transcribe", {"priority": "at once"})
    assert (status, code, error["param"]) == (400, "invalid_request", "priority")
