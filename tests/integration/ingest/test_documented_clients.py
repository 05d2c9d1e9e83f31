"""The second generation's documentation, call by call, on real servers: what it shows is sent, what it promises is there."""

import re

import httpx

from tests.tenants import SILENCE

UPLOADED = {
    "id",
    "device_id",
    "end_user_id",
    "name",
    "status",
    "duration_ms",
    "started_at",
    "ended_at",
    "transcription_id",
    "media",
}
MEDIA = {"id", "type", "mime_type", "file_size_bytes", "status", "captured_at", "created_at"}


async def put(url, content, headers):
    async with httpx.AsyncClient() as plain:
        return await plain.put(url, content=content, headers=headers)


async def bound_device(api):
    user = await api.ok(
        "POST", "/end-users", {"external_id": "employee_123", "email": "jo@example.com", "name": "Jo", "metadata": {}}
    )
    device = await api.ok(
        "POST", "/devices", {"serial_number": "BP-2025-000123", "model": "bota_pin", "firmware_version": "1.0.0"}
    )
    bound = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": user["id"]})
    return user["id"], device["id"], bound["device_token"]


async def test_a_recording_is_created_uploaded_completed_and_transcribed(api):
    user, device, _ = await bound_device(api)
    body = {"device_id": device, "end_user_id": user, "name": "Team call", "started_at": "2025-01-15T10:00:00Z"}
    created = await api.call("POST", "/recordings", body | {"ended_at": "2025-01-15T11:00:00Z", "metadata": {"room": "A"}})
    recording = created.json()
    assert (created.status_code, recording["status"], recording["media"]) == (201, "pending", [])
    assert (recording["duration_ms"], recording["transcription_id"]) == (None, None)
    assert recording.keys() >= UPLOADED | {"metadata", "created_at"}
    asked = {"type": "audio", "content_type": "audio/wav", "file_size_bytes": len(SILENCE), "captured_at": "2025-01-15T10:00:00Z"}
    offer = await api.ok("POST", f"/recordings/{recording['id']}/upload-url", asked)
    assert offer["media_id"].startswith("med_")
    assert offer["headers"] == {"Content-Type": "audio/wav"}
    assert (await put(offer["upload_url"], SILENCE, offer["headers"])).is_success
    completed = await api.ok("POST", f"/recordings/{recording['id']}/upload-complete")
    assert completed["status"] == "uploaded"
    (media,) = completed["media"]
    assert media.keys() == MEDIA
    assert (media["status"], media["file_size_bytes"], media["mime_type"]) == ("uploaded", len(SILENCE), "audio/wav")
    assert (await api.refused("POST", f"/recordings/{recording['id']}/upload-complete"))[0] == 400
    wish = {"language": "en", "diarization": True, "provider": "whisper"}
    started = await api.call("POST", f"/recordings/{recording['id']}/transcribe", wish)
    transcription = started.json()
    assert (started.status_code, transcription["status"]) == (201, "pending")
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["transcription_id"] == transcription["id"]
    assert (await api.ok("GET", f"/transcriptions/{transcription['id']}"))["recording_id"] == recording["id"]
    download = await api.ok("POST", f"/recordings/{recording['id']}/download-url", {"media_id": media["id"]})
    async with httpx.AsyncClient() as plain:
        assert (await plain.get(download["download_url"])).content == SILENCE


async def test_a_device_streams_with_its_token_and_sends_no_ids(api):
    user, device, token = await bound_device(api)
    opened = await api.ok("POST", "/recordings", {"streaming": True, "name": "On the way"}, secret=token)
    assert (opened["device_id"], opened["end_user_id"], opened["status"]) == (device, user, "streaming")
    for number, kind in ((1, "audio/opus"), (3, "audio/ogg")):
        url = opened["chunk_upload_url_template"].replace("{chunk_number}", str(number))
        assert (await put(url, b"OggS", {"Content-Type": kind})).is_success
    body = {"total_chunks": 3, "final_duration_ms": 900_000}
    status, code, error = await api.refused("POST", f"/recordings/{opened['id']}/finalize", body, secret=token)
    assert (status, code, error["details"]["missing_chunks"]) == (409, "chunk_count_mismatch", [2])
    await put(opened["chunk_upload_url_template"].replace("{chunk_number}", "2"), b"OggS", {})
    first, again = [await api.call("POST", f"/recordings/{opened['id']}/finalize", body, secret=token) for _ in range(2)]
    assert first.json().keys() == {"id", "status", "transcription_status", "chunks_received", "stitching_job_id"}
    assert (first.json()["chunks_received"], first.content) == (3, again.content)
    assert (await api.refused("GET", f"/recordings/{opened['id']}", secret=token))[0] == 403


async def test_lists_are_paged_by_offset(api):
    for _ in range(3):
        await api.recording()
    first = await api.ok("GET", "/recordings?limit=2&offset=0")
    last = await api.ok("GET", "/recordings?limit=2&offset=2")
    assert (len(first["data"]), first["has_more"], len(last["data"]), last["has_more"]) == (2, True, 1, False)
    assert first["data"][0]["created_at"] >= first["data"][1]["created_at"] >= last["data"][0]["created_at"]


async def test_a_project_is_told_to_transcribe_by_itself(api):
    body = {"auto_transcription": {"enabled": True, "provider": "whisper"}}
    path = f"/projects/{api.project_id}/config/processing"
    assert (await api.call("PUT", path, body)).status_code == 200
    found = await api.ok("GET", "/config/processing")
    assert found["value"]["auto_transcription"]["enabled"] is True
    assert found["source"] == "project"
    assert found["definition"].keys() >= {"description", "merge_strategy"}


async def test_webhook_endpoints_show_their_secret_once(api):
    body = {"url": "https://example.com/webhooks/bota", "events": ["*"], "description": "Production", "metadata": {"env": "prod"}}
    created = await api.call("POST", "/webhook-endpoints", body)
    endpoint = created.json()
    assert (created.status_code, endpoint["status"]) == (201, "enabled")
    assert re.fullmatch(r"whsec_\S+", endpoint["secret"])
    listed = await api.ok("GET", "/webhook-endpoints?limit=25&offset=0")
    assert "secret" not in listed["data"][0]
    assert (
        await api.call("POST", "/webhooks", {"url": "https://example.com/old", "events": ["recording.created"]})
    ).status_code == 201


async def test_devices_live_through_bind_heartbeat_commands_and_unbind(api):
    user, device, token = await bound_device(api)
    again = await api.call("POST", "/devices", {"serial_number": "BP-2025-000123", "model": "bota_pin"})
    assert (again.status_code, again.json()["id"]) == (200, device)
    other = await api.ok("POST", "/end-users", {"external_id": "employee_124"})
    assert (await api.refused("POST", f"/devices/{device}/bind", {"end_user_id": other["id"]}))[:2] == (
        409,
        "device_already_bound",
    )
    beat = {"battery_percent": 85, "storage_used_mb": 512, "storage_total_mb": 8192, "signal_strength_dbm": -67, "flags": 0}
    beat |= {"device_state": "recording", "pending_recordings": 2, "connection_type": ["4g", "ble"], "firmware_version": "1.0.1"}
    assert (await api.ok("POST", "/devices/me/heartbeat", beat, secret=token))["status"] == "ok"
    state = await api.ok("GET", f"/devices/{device}/state")
    assert (state["online"], state["battery_percent"]) == (True, 85)
    refreshed = await api.ok("POST", f"/devices/{device}/token/refresh", secret=token)
    assert (await api.refused("POST", "/devices/me/heartbeat", {}, secret=token))[0] == 401
    for _ in range(2):
        unbound = await api.ok("POST", f"/devices/{device}/unbind")
        assert (unbound["status"], unbound["end_user_id"]) == ("unbound", None)
    assert (await api.refused("POST", "/devices/me/heartbeat", {}, secret=refreshed["device_token"]))[0] == 401
    assert (await api.call("DELETE", f"/end-users/{user}")).status_code == 204
