"""Finalize closes a streaming upload once, when every chunk is there (contract A8, 7.2)."""

import time
from datetime import timedelta

import pytest

from services.ingest.recording_files import LAST_PUT
from services.ingest.refusals import chunk_count_mismatch
from shared.domain.job import JobKind
from shared.domain.recording import RecordingStatus


async def finalize(api, recording, **body):
    return await api.call("POST", f"/recordings/{recording['id']}/finalize", body)


async def test_a_complete_upload_becomes_uploaded_and_its_stitching_is_queued(api):
    recording = await api.streamed(3)
    answer = await finalize(api, recording, total_chunks=3, final_duration_ms=90_000)
    assert answer.status_code == 200
    body = answer.json()
    assert body == {
        "id": recording["id"],
        "status": "uploaded",
        "transcription_status": "queued",
        "chunks_received": 3,
        "stitching_job_id": body["stitching_job_id"],
    }
    shown = await api.ok("GET", f"/recordings/{recording['id']}")
    assert shown["status"] == "uploaded"
    assert shown["duration_ms"] == 90_000
    assert shown["stitching"] == {"status": "queued", "job_id": body["stitching_job_id"]}
    assert [media["status"] for media in shown["media"]] == ["pending"]
    assert api.events(recording["id"]) == ["recording.created", "recording.uploaded"]


async def test_the_job_and_the_event_are_in_the_same_write_as_the_status(api):
    recording = await api.streamed(2)
    await finalize(api, recording, total_chunks=2, final_duration_ms=1)
    stored = api.stores.recordings.documents[recording["id"]]
    assert (stored.version, stored.status, stored.closing_until) == (2, RecordingStatus.UPLOADED, None)
    assert stored.job.kind is JobKind.STITCH
    event = api.stores.recordings.outbox[recording["id"]][-1]
    assert (event.version, event.chunk_count) == (2, 2)
    assert [nudged.type for _, _, nudged in api.stores.relay.nudged] == ["recording.created", "recording.uploaded"]


async def test_an_identical_repeat_returns_the_identical_bytes_and_starts_nothing(api):
    recording = await api.streamed(2)
    first = await finalize(api, recording, total_chunks=2, final_duration_ms=1000, checksum_md5="ABCDEF" + "0" * 26)
    again = await finalize(api, recording, total_chunks=2, duration_ms=1000, checksum_md5="abcdef" + "0" * 26)
    assert first.content == again.content
    assert api.events(recording["id"]).count("recording.uploaded") == 1
    assert api.stores.recordings.documents[recording["id"]].version == 2


@pytest.mark.parametrize(
    "other",
    [
        {"total_chunks": 3, "final_duration_ms": 1000},
        {"total_chunks": 2, "final_duration_ms": 1001},
        {"total_chunks": 2, "final_duration_ms": 1000, "checksum_md5": "0" * 32},
        {"total_chunks": 2, "final_duration_ms": 1000, "file_size_bytes": 5},
    ],
)
async def test_a_repeat_with_other_parameters_is_refused(api, other):
    recording = await api.streamed(2)
    await finalize(api, recording, total_chunks=2, final_duration_ms=1000)
    status, code, _ = await api.refused("POST", f"/recordings/{recording['id']}/finalize", other)
    assert (status, code) == (409, "already_finalized")


@pytest.mark.parametrize(
    ("stored", "announced", "missing", "unexpected"),
    [([1, 3], 4, [2, 4], []), ([], 2, [1, 2], []), ([1, 2, 3], 2, [], [3]), ([1, 9], 3, [2, 3], [9])],
)
async def test_a_gap_or_a_surplus_is_refused_by_number(api, stored, announced, missing, unexpected):
    recording = await api.recording(streaming=True)
    for number in stored:
        await api.put_chunk(recording, number)
    body = {"total_chunks": announced, "final_duration_ms": 1}
    status, code, error = await api.refused("POST", f"/recordings/{recording['id']}/finalize", body)
    assert (status, code) == (409, "chunk_count_mismatch")
    assert error["details"] == {
        "expected_chunks": announced,
        "received_chunks": len(stored),
        "missing_chunks": missing,
        "unexpected_chunks": unexpected,
    }
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "streaming"


def test_of_a_number_out_of_all_proportion_only_the_first_gaps_are_looked_for():
    """Whoever sends a count of bytes by mistake keeps nobody waiting."""
    began = time.process_time()
    details = chunk_count_mismatch(30_000_000, [1, 3]).details
    assert time.process_time() - began < 0.2
    assert details["missing_chunks"] == [2, *range(4, 1003)]


async def test_a_refused_finalize_succeeds_once_the_gap_is_filled(api):
    recording = await api.recording(streaming=True)
    await api.put_chunk(recording, 2)
    assert (await finalize(api, recording, total_chunks=2, final_duration_ms=1)).status_code == 409
    await api.put_chunk(recording, 1)
    assert (await finalize(api, recording, total_chunks=2, final_duration_ms=1)).status_code == 200


@pytest.mark.parametrize("alias", [{"final_file_size_bytes": 7}, {"file_size_bytes": 7}])
async def test_the_names_that_other_clients_use_mean_the_same(api, alias):
    recording = await api.streamed(1)
    assert (await finalize(api, recording, total_chunks=1, duration_ms=5, **alias)).is_success
    finalization = api.stores.recordings.documents[recording["id"]].finalization
    assert (finalization.duration_ms, finalization.file_size_bytes) == (5, 7)


async def test_the_last_sweep_comes_when_a_put_that_began_while_its_url_was_good_has_ended(api):
    """As of a device whose network gives it a chunk a quarter of an hour."""
    recording = await api.streamed(1)
    urls = await api.ok("POST", f"/recordings/{recording['id']}/chunk-urls", {"from": 1, "count": 1})
    assert (await finalize(api, recording, total_chunks=1, duration_ms=5)).is_success
    finalization = api.stores.recordings.documents[recording["id"]].finalization
    assert finalization.urls_end - finalization.finalized_at >= timedelta(seconds=urls["expires_in"]) + LAST_PUT


async def test_an_unknown_recording_has_a_code_of_its_own(api):
    body = {"total_chunks": 1, "final_duration_ms": 1}
    assert (await api.refused("POST", "/recordings/rec_none/finalize", body))[:2] == (404, "recording_not_found")


async def test_a_recording_that_is_not_streamed_is_not_finalized(api):
    recording = await api.recording()
    body = {"total_chunks": 1, "final_duration_ms": 1}
    status, code, _ = await api.refused("POST", f"/recordings/{recording['id']}/finalize", body)
    assert (status, code) == (400, "not_a_streaming_recording")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "total_chunks"),
        ({"total_chunks": 1}, "final_duration_ms"),
        ({"total_chunks": "1", "final_duration_ms": 1}, "total_chunks"),
        ({"total_chunks": True, "final_duration_ms": 1}, "total_chunks"),
        ({"total_chunks": 0, "final_duration_ms": 1}, "total_chunks"),
        ({"total_chunks": 1, "final_duration_ms": -1}, "final_duration_ms"),
        ({"total_chunks": 1, "final_duration_ms": 1.5}, "final_duration_ms"),
        ({"total_chunks": 1, "final_duration_ms": 1, "checksum_md5": "xyz"}, "checksum_md5"),
        ({"total_chunks": 1, "final_duration_ms": 10**30}, "final_duration_ms"),
    ],
)
async def test_a_wrong_body_names_the_field(api, body, param):
    recording = await api.streamed(1)
    status, code, error = await api.refused("POST", f"/recordings/{recording['id']}/finalize", body)
    assert (status, code, error["param"]) == (400, "invalid_request", param)


async def test_when_the_object_store_is_down_nothing_is_half_done(api):
    recording = await api.streamed(1)
    api.stores.objects.down = True
    status, code, _ = await api.refused(
        "POST", f"/recordings/{recording['id']}/finalize", {"total_chunks": 1, "final_duration_ms": 1}
    )
    assert (status, code) == (503, "service_unavailable")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["status"] == "streaming"


async def test_the_job_and_the_event_carry_the_trace_of_the_request(api):
    recording = await api.streamed(1)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = {"total_chunks": 1, "final_duration_ms": 1}
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    assert (await api.call("POST", f"/recordings/{recording['id']}/finalize", body, headers=headers)).status_code == 200
    stored = api.stores.recordings.documents[recording["id"]]
    created, uploaded = api.stores.recordings.outbox[recording["id"]]
    assert (stored.job.trace_id, uploaded.trace_id) == (trace, trace)
    assert created.trace_id not in (None, trace)
