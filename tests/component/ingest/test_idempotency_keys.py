"""A POST that is repeated under its idempotency key has its effect once and is answered the same (contract A18)."""

import asyncio
import json
from datetime import timedelta

import msgspec
import pytest

from services.ingest.idempotency.once import Once
from shared.domain.clock import now
from shared.domain.errors import TransientFailure
from shared.domain.media import Media
from shared.domain.recording import RecordingStatus
from tests.fakes.answers import FakeAnswers
from tests.tenants import SILENCE

KEY = {"Idempotency-Key": "order-66_A"}


def keyed(key):
    return {"Idempotency-Key": key}


async def create(api, headers=KEY, **body):
    return await api.call("POST", "/recordings", {"end_user_id": api.end_user_id, **body}, headers=headers)


def recordings_of(api):
    return [item for item in api.stores.recordings.documents.values() if item.project_id == api.project_id]


@pytest.fixture(autouse=True)
async def someone(api):
    """Keys are told apart by project, so only the outage is undone."""
    api.end_user_id = await api.someone()
    yield
    api.stores.answers.down = False


async def test_a_repeat_gets_the_same_status_body_and_headers(api):
    first, second = await create(api), await create(api)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert len(recordings_of(api)) == 1


async def test_requests_without_a_key_touch_no_store(api):
    api.stores.answers.down = True
    assert (await create(api, headers={})).status_code == 201
    assert (await create(api)).status_code == 503


async def test_a_get_takes_no_notice_of_a_key(api):
    recording = (await create(api, headers={})).json()
    response = await api.call("GET", f"/recordings/{recording['id']}", headers=keyed("not valid!"))
    assert response.status_code == 200


async def test_the_same_key_with_another_body_is_refused(api):
    await create(api)
    status, code, error = await api.refused(
        "POST", "/recordings", {"end_user_id": api.end_user_id, "name": "Another"}, headers=KEY
    )
    assert (status, code, error["param"]) == (409, "idempotency_key_reuse", "Idempotency-Key")
    assert len(recordings_of(api)) == 1


async def test_the_same_key_for_another_recording_of_the_same_route_is_refused(api):
    one, two = [(await create(api, headers={}, streaming=True)).json()["id"] for _ in range(2)]
    body = {"total_chunks": 1, "final_duration_ms": 1}
    await api.call("POST", f"/recordings/{one}/chunk-urls", {"from": 1, "count": 1}, headers=KEY)
    status, code, _ = await api.refused("POST", f"/recordings/{two}/chunk-urls", {"from": 1, "count": 1}, headers=KEY)
    assert (status, code) == (409, "idempotency_key_reuse")
    assert (await api.refused("POST", f"/recordings/{two}/finalize", body, headers=KEY))[1] == "chunk_count_mismatch"


async def test_a_key_counts_per_project_and_mode(api):
    first = (await create(api)).json()["id"]
    test_key = await api.new_key(api.project_id, mode="test")
    body = {"end_user_id": api.end_user_id}
    other = await api.call("POST", "/recordings", body, headers=KEY, secret=test_key)
    assert "idempotency-replayed" not in other.headers
    assert first not in other.text


async def test_a_key_counts_per_device(api):
    tokens = [(await api.bound_device())["device_token"] for _ in range(2)]
    made = [await api.call("POST", "/recordings", {}, headers=KEY, secret=token) for token in (*tokens, tokens[0])]
    assert [answer.status_code for answer in made] == [201, 201, 201]
    first, second, again = (answer.json()["id"] for answer in made)
    assert first == again != second


async def test_a_device_that_was_handed_on_is_not_answered_with_what_it_recorded_for_the_one_before(api):
    device = await api.bound_device()
    first = await api.call("POST", "/recordings", {"streaming": True}, headers=KEY, secret=device["device_token"])
    again = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": device["end_user_id"]})
    same = await api.call("POST", "/recordings", {"streaming": True}, headers=KEY, secret=again["device_token"])
    assert same.content == first.content
    await api.ok("POST", f"/devices/{device['id']}/unbind", {})
    handed = await api.ok("POST", f"/devices/{device['id']}/bind", {"end_user_id": await api.new_end_user()})
    theirs = await api.call("POST", "/recordings", {"streaming": True}, headers=KEY, secret=handed["device_token"])
    assert (theirs.status_code, theirs.json()["end_user_id"]) == (201, handed["end_user_id"])
    assert theirs.json()["id"] != first.json()["id"]


async def test_a_key_counts_per_upload(api):
    for _ in range(2):
        recording = await api.recording()
        offer = await api.ok("POST", f"/recordings/{recording['id']}/upload-url", {})
        await api.store(offer["upload_url"], SILENCE)
        path = f"/recordings/{recording['id']}/upload-complete"
        done = await api.call("POST", path, {}, headers=KEY, secret=offer["upload_token"])
        assert (done.status_code, done.json()["id"]) == (200, recording["id"])


@pytest.mark.parametrize("key", ["", " ", "a b", "a.b", "ä", "x" * 256])
async def test_a_key_that_is_none_is_refused(api, key):
    status, code, error = await api.refused(
        "POST", "/recordings", {"end_user_id": api.end_user_id}, headers={b"Idempotency-Key": key.encode()}
    )
    assert (status, code, error["param"]) == (400, "invalid_request", "Idempotency-Key")


async def test_the_longest_key_will_do(api):
    assert (await create(api, headers=keyed("x" * 255))).status_code == 201


async def test_while_the_first_runs_a_repeat_is_told_to_come_again(api):
    reached, go_on = asyncio.Event(), asyncio.Event()
    add = api.stores.recordings.add

    async def slow(aggregate, *events):
        reached.set()
        await go_on.wait()
        return await add(aggregate, *events)

    api.stores.recordings.add = slow
    try:
        first = asyncio.create_task(create(api))
        await reached.wait()
        second = await create(api)
        go_on.set()
        assert (await first).status_code == 201
    finally:
        del api.stores.recordings.add
    assert (second.status_code, second.json()["error"]["code"]) == (409, "idempotency_in_progress")
    assert int(second.headers["retry-after"]) >= 1
    assert (await create(api)).content == first.result().content


async def test_a_request_keeps_its_claim_for_as_long_as_it_runs():
    answers, lease = FakeAnswers(), timedelta(seconds=0.3)
    once = Once(answers, lease)
    claim = await once.begin("request", "fingerprint")
    first = answers.requests["request"].leased_until
    async with asyncio.timeout(30):
        while answers.requests["request"].leased_until < first + lease:
            await asyncio.sleep(0.01)
    await once.let_go(claim)


async def test_many_at_once_have_one_effect(api):
    answers = await asyncio.gather(*(create(api) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert len(recordings_of(api)) == 1


async def test_a_refusal_that_nothing_but_another_request_can_mend_is_repeated(api):
    first = await create(api, end_user_id=7)
    second = await create(api, end_user_id=7)
    assert (first.status_code, second.status_code) == (400, 400)
    assert second.content == first.content
    assert second.headers["idempotency-replayed"] == "true"


async def test_a_refusal_that_time_may_change_is_decided_anew(api):
    recording = await api.recording(streaming=True)
    body = {"total_chunks": 1, "final_duration_ms": 1000}
    path = f"/recordings/{recording['id']}/finalize"
    assert (await api.refused("POST", path, body, headers=KEY))[1] == "chunk_count_mismatch"
    assert (await api.put_chunk(recording, 1)).is_success
    assert (await api.call("POST", path, body, headers=KEY)).status_code == 200
    assert (await api.call("POST", path, body, headers=KEY)).headers["idempotency-replayed"] == "true"


async def test_failures_of_ours_and_wrong_credentials_are_not_kept(api):
    assert (await api.call("POST", "/recordings", {"end_user_id": api.end_user_id}, headers=KEY, secret="")).status_code == 401
    reader = await api.new_key(api.project_id, scopes=["recordings:read"])
    assert (await api.call("POST", "/recordings", {}, headers=KEY, secret=reader)).status_code == 403
    api.stores.recordings.down = True
    assert (await create(api)).status_code == 503
    api.stores.recordings.down = False
    assert (await create(api)).status_code == 201


async def test_what_one_credential_may_not_is_not_what_another_is_answered(api):
    recording = await api.recording()
    offers = [await api.ok("POST", f"/recordings/{recording['id']}/upload-url", {}) for _ in range(2)]
    await api.store(offers[1]["upload_url"], SILENCE)
    path = f"/recordings/{recording['id']}/upload-complete"
    replaced, newest = [await api.call("POST", path, {}, headers=KEY, secret=offer["upload_token"]) for offer in offers]
    assert (replaced.json()["error"]["code"], newest.status_code) == ("forbidden", 200)


async def test_the_same_key_with_another_query_is_refused(api):
    await api.call("POST", "/recordings?a=1", {"end_user_id": api.end_user_id}, headers=KEY)
    for query in ("", "?a=2"):
        refused = await api.refused("POST", f"/recordings{query}", {"end_user_id": api.end_user_id}, headers=KEY)
        assert refused[:2] == (409, "idempotency_key_reuse")


async def test_what_a_dead_process_left_behind_is_taken_over_with_the_same_id(api):
    """The claim of a process that died after its effect and before its answer: the lease has ended, the recording is there."""
    first = await create(api)
    answers = api.stores.answers
    claimed = next(item for item in answers.requests.values() if item.answer and item.answer.body == first.content)
    answers.requests[claimed.id] = msgspec.structs.replace(claimed, answer=None, leased_until=now() - timedelta(seconds=1))
    second = await create(api)
    assert second.status_code == 201
    assert second.json()["id"] == first.json()["id"]
    assert len(recordings_of(api)) == 1
    taken_over = answers.requests[claimed.id]
    assert (taken_over.first_at, taken_over.expires_at) == (claimed.first_at, claimed.expires_at)


async def test_a_write_whose_outcome_was_unknown_makes_no_second_recording(api):
    add = api.stores.recordings.add

    async def stored_but_unconfirmed(aggregate, *events):
        await add(aggregate, *events)
        raise TransientFailure("not confirmed")

    api.stores.recordings.add = stored_but_unconfirmed
    assert (await create(api)).status_code == 503
    del api.stores.recordings.add
    assert (await create(api)).json()["id"] == recordings_of(api)[0].id
    assert len(recordings_of(api)) == 1


async def test_an_expired_key_is_free_for_anything(api):
    first = await create(api)
    answers = api.stores.answers
    claimed = next(item for item in answers.requests.values() if item.answer and item.answer.body == first.content)
    assert claimed.expires_at - claimed.first_at == timedelta(hours=24)
    answers.requests[claimed.id] = msgspec.structs.replace(claimed, expires_at=now() - timedelta(seconds=1))
    while now() == claimed.first_at:  # a day has passed in truth
        await asyncio.sleep(0.001)
    second = await create(api, name="Another")
    assert second.status_code == 201
    assert second.json()["id"] != first.json()["id"]


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(api):
    settle = api.stores.answers.settle

    async def broken(claim, answer, **_options):
        raise TransientFailure("gone")

    api.stores.answers.settle = broken
    try:
        assert (await create(api)).status_code == 201
    finally:
        api.stores.answers.settle = settle


async def test_the_operator_has_keys_of_its_own(api):
    body = {"name": "Twice"}
    first = await api.call("POST", "/admin/organizations", body, headers=keyed("o-1"), secret=api.admin_token)
    second = await api.call("POST", "/admin/organizations", body, headers=keyed("o-1"), secret=api.admin_token)
    assert (first.status_code, second.content) == (201, first.content)


async def test_bodies_are_compared_byte_by_byte(api):
    body = {"end_user_id": api.end_user_id, "name": "One"}
    await api.call("POST", "/recordings", json.dumps(body).encode(), headers=KEY)
    spaced = await api.call("POST", "/recordings", json.dumps(body, indent=1).encode(), headers=KEY)
    assert spaced.json()["error"]["code"] == "idempotency_key_reuse"


async def test_two_keys_in_one_request_are_refused(api):
    headers = [("Authorization", f"Bearer {api.secret}"), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    response = await api.client.post(f"{api.url}/v1/recordings", headers=headers, content=b"{}")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_a_relayed_file_is_taken_once(api):
    recording = await api.recording()
    path, headers = f"/recordings/{recording['id']}/upload-relay", KEY | {"Content-Type": "audio/wav"}
    wave = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(200_000)
    first = await api.call("POST", path, wave, headers=headers)
    second = await api.call("POST", path, wave, headers=headers)
    assert (first.status_code, second.content) == (200, first.content)
    assert second.headers["idempotency-replayed"] == "true"
    other = await api.call("POST", path, wave[:-1] + b"x", headers=headers)
    assert other.json()["error"]["code"] == "idempotency_key_reuse"


async def test_a_transcription_that_a_dead_process_started_is_found_again(api):
    recording = await api.recording()
    documents = api.stores.recordings.documents
    audio = {"id": "med_1", "type": "audio", "content_type": "audio/wav", "object_key": "k", "status": "uploaded"}
    media = (msgspec.convert({**audio, "created_at": now()}, Media),)
    documents[recording["id"]] = msgspec.structs.replace(documents[recording["id"]], status=RecordingStatus.UPLOADED, media=media)
    body = {"recording_id": recording["id"]}
    first = await api.ok("POST", "/transcriptions", body, headers=KEY)
    answers = api.stores.answers
    claimed = next(item for item in answers.requests.values() if item.answer and first["id"].encode() in item.answer.body)
    answers.requests[claimed.id] = msgspec.structs.replace(claimed, answer=None, leased_until=now() - timedelta(seconds=1))
    assert (await api.ok("POST", "/transcriptions", body, headers=KEY))["id"] == first["id"]
