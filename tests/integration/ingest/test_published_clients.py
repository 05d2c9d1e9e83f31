"""The third generation's clients, call by call, on real servers: what they send is taken, what they check is there."""

import hashlib
import re

import httpx

from tests.integration.ingest.conftest import until
from tests.left_out import LEFT_OUT
from tests.tenants import SILENCE

SHA256 = hashlib.sha256(SILENCE).hexdigest()


async def test_upload_and_transcribe_as_the_published_client_does(api):
    user = await api.ok("POST", "/end-users", {"external_id": "customer-1"})
    body = {"end_user_id": user["id"], "name": "call.wav", "source": "api_upload", "upload_method": "import"}
    created = await api.call("POST", "/recordings", body, headers={"Idempotency-Key": "create-1"})
    recording = created.json()
    assert (created.status_code, recording["device_id"]) == (201, None)
    assert re.fullmatch("rec_[A-Za-z0-9]{1,64}", recording["id"])
    replay = await api.call("POST", "/recordings", body, headers={"Idempotency-Key": "create-1"})
    assert (replay.content, replay.headers["idempotency-replayed"]) == (created.content, "true")
    offer = await api.ok("POST", f"/recordings/{recording['id']}/upload-url", {"content_type": "audio/wav"})
    async with httpx.AsyncClient(follow_redirects=False) as plain:
        stored = await plain.put(offer["upload_url"], content=SILENCE, headers={"Content-Type": offer["content_type"]})
    assert stored.is_success
    path = f"/recordings/{recording['id']}/upload-complete"

    async def completed():
        answer = await api.call("POST", path, {"content_sha256": SHA256})
        assert answer.status_code in {200, 425}
        return answer if answer.status_code == 200 else None

    done = (await until(completed)).json()
    assert (done["id"], done["status"], done["content_sha256"]) == (recording["id"], "uploaded", SHA256)
    assert done["content_sha256_verified_at"]
    replayed = {"content_sha256": SHA256, "file_size_bytes": str(len(SILENCE)), "duration_seconds": 1}
    assert (await api.ok("POST", path, replayed))["content_sha256"] == SHA256
    assert (await api.refused("POST", path, {"content_sha256": "0" * 64}))[0] == 409
    await transcribe(api, recording["id"])


async def transcribe(api, recording_id):
    started = await api.call("POST", "/transcriptions", {"recording_id": recording_id, "language": "en", "provider": "whisper"})
    assert started.status_code == 201
    shown = await api.ok("GET", f"/transcriptions/{started.json()['id']}")
    assert shown.keys() >= {
        "full_text",
        "text",
        "word_count",
        "confidence",
        "error_message",
        "started_at",
        "project_id",
        "deleted_at",
    }
    listed = await api.ok("GET", f"/transcriptions?recording_id={recording_id}&limit=20")
    assert [row["id"] for row in listed["data"]] == [shown["id"]]


async def test_a_phone_completes_with_its_upload_token(api):
    user = await api.ok("POST", "/end-users", {})
    recording = await api.ok("POST", "/recordings", {"end_user_id": user["id"], "upload_method": "ble", "recording_uuid": "b-1"})
    offer = await api.ok("POST", f"/recordings/{recording['id']}/upload-url", {})
    async with httpx.AsyncClient() as plain:
        assert (await plain.put(offer["upload_url"], content=SILENCE, headers={"Content-Type": "audio/ogg"})).is_success
    body = {"recording_id": recording["id"]}
    done = await api.ok("POST", f"/uploads/{recording['id']}/complete", body, secret=offer["upload_token"])
    assert done["status"] == "uploaded"


async def test_the_sdks_finalize_in_their_own_words(api):
    user = await api.ok("POST", "/end-users", {})
    for names in (("final_duration_ms", "final_file_size_bytes"), ("duration_ms", "file_size_bytes")):
        recording = await api.ok("POST", "/recordings", {"end_user_id": user["id"], "streaming": True})
        await api.put_chunk(recording, 1, b"OggS")
        body = {"total_chunks": 1, names[0]: 1000, names[1]: 4}
        assert (await api.ok("POST", f"/recordings/{recording['id']}/finalize", body))["status"] in {"uploaded", "stitching"}


async def test_lists_are_paged_by_cursor_until_there_is_none(api):
    user = await api.ok("POST", "/end-users", {})
    made = [(await api.ok("POST", "/recordings", {"end_user_id": user["id"]}))["id"] for _ in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = await api.ok("GET", f"/recordings?limit=2&cursor={cursor}")
        seen += [row["id"] for row in page["data"]]
        assert page["has_more"] is (page["next_cursor"] is not None)
        cursor = page["next_cursor"]
    assert seen == made[::-1]


async def test_a_known_external_id_is_fetched_after_the_conflict(api):
    first = await api.call("POST", "/end-users", {"external_id": "crm-9", "email": None, "name": None})
    assert first.status_code == 201
    assert (await api.refused("POST", "/end-users", {"external_id": "crm-9"}))[0] == 409
    found = await api.ok("GET", "/end-users?external_id=crm-9")
    assert ([row["id"] for row in found["data"]], found["has_more"]) == ([first.json()["id"]], False)


async def test_configuration_is_read_with_its_schema(api):
    schema = await api.ok("GET", "/config/schema")
    assert {"processing", "upload", "connection"} <= {section["section"] for section in schema["data"]}
    assert schema["data"][0].keys() >= {"section", "description", "defaults", "levels", "merge_strategy"}
    assert (await api.ok("GET", "/config/schema/upload"))["section"] == "upload"
    assert (await api.ok("GET", "/config/upload"))["value"]["streaming_chunk_kb"] == 256


async def test_health_is_asked_without_a_credential(api):
    response = await api.call("GET", f"{api.url}/health", secret="")
    assert response.json() == {"status": "healthy", "database": "connected", "billing": "disabled"}
    assert (response.headers["content-type"], response.history) == ("application/json", [])


async def test_what_is_left_out_is_404_in_the_envelope(api):
    for method, path, body in LEFT_OUT:
        status, code, _ = await api.refused(method, path, body)
        assert (status, code) == (404, "not_found"), f"{method} {path}"
