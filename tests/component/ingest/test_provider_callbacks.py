"""What a provider on the network may send of an order of ours, and what somebody who guesses may not."""

import asyncio
import hashlib
import json
from datetime import timedelta

import httpx
import msgspec
import pytest

from services.ingest import chunk_bodies
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.job import JobStatus
from shared.domain.provider_order import new_callback_token, provider_order
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.tenant import Mode
from shared.domain.transcription import ProviderName, RemoteJob, TranscriptionRequest, queued_transcription
from tests.fakes.ingest import API_SETTINGS, Api, fake_stores

ANSWER = json.dumps({"metadata": {}, "results": {}}).encode()


class Ordered:
    """A transcription that waits for the answer to its order."""

    def __init__(self, api):
        self.api, self.token, at = api, new_callback_token(), now()
        recording = Recording(
            id=new_id("rec"),
            project_id=api.project_id,
            mode=Mode.LIVE,
            status=RecordingStatus.UPLOADED,
            created_at=at,
            updated_at=at,
        )
        queued = queued_transcription(new_id("txn"), recording, TranscriptionRequest(provider=ProviderName.DEEPGRAM))
        remote = RemoteJob(provider=ProviderName.DEEPGRAM, placed_at=at, asked_at=at)
        job = msgspec.structs.replace(queued.job, available_at=at + timedelta(hours=1))
        self.be(msgspec.structs.replace(queued, remote=remote, job=job))
        hashed = hashlib.sha256(self.token.encode()).hexdigest()
        self.order = provider_order(self.present, at, tokens=(hashed,))
        api.stores.provider_orders.orders.append(self.order)

    @property
    def present(self):
        return self.api.stores.transcriptions.documents[self._id]

    @property
    def stored(self):
        return self.api.stores.objects.objects.get(self.order.answer_key)

    def be(self, transcription):
        self._id = transcription.id
        self.api.stores.transcriptions.documents[transcription.id] = transcription

    async def call(self, body=ANSWER, *, token=None, provider="deepgram", **options):
        path = f"/provider-callbacks/{provider}/{token or self.token}"
        return await self.api.call("POST", path, body, secret="", **options)


@pytest.fixture
async def ordered(api):
    return Ordered(api)


async def test_an_answer_is_stored_and_its_transcription_goes_on_at_once(ordered):
    answer = await ordered.call()
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert ordered.stored == ANSWER
    assert ordered.present.remote.answered_at is not None
    assert ordered.present.job.available_at <= now()


async def test_an_answer_that_comes_while_the_order_is_still_being_placed_leaves_the_claim_alone(ordered):
    held = ordered.present.job.claimed("w", now(), 30)
    ordered.be(ordered.present.changed(job=held))
    assert (await ordered.call()).status_code == 200
    assert ordered.present.job == held
    assert (ordered.present.remote.job_id, ordered.stored) == (None, ANSWER)
    assert ordered.present.remote.answered_at is not None


async def test_the_first_answer_stands_and_the_same_one_again_changes_nothing(ordered):
    await ordered.call()
    before = ordered.present
    answer = await ordered.call(json.dumps({"other": True}).encode())
    assert answer.status_code == 200
    assert (ordered.present, ordered.stored) == (before, ANSWER)


async def test_answers_at_the_same_moment_store_one_of_them(ordered):
    answers = await asyncio.gather(*(ordered.call() for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert ordered.stored == ANSWER
    assert ordered.present.version == 2


@pytest.mark.parametrize("guess", [pytest.param(new_callback_token(), id="another"), "x", "cbk_", "%00", "ü"])
async def test_an_unknown_token_is_answered_as_a_path_that_is_not_there(ordered, guess):
    answer, nowhere = await ordered.call(token=guess), await ordered.api.call("POST", "/nothing/of/ours", ANSWER, secret="")
    assert seen(answer) == seen(nowhere)
    assert answer.status_code == 404
    assert ordered.stored is None


async def test_a_token_is_good_for_its_own_provider_only(ordered):
    assert (await ordered.call(provider="assemblyai")).status_code == 404
    assert ordered.stored is None


async def test_nothing_is_read_of_a_body_with_a_forged_token(ordered):
    async def pieces():
        raise AssertionError("read")
        yield b""

    assert (
        await ordered.api.client.post(f"{ordered.api.url}/v1/provider-callbacks/deepgram/x", content=pieces())
    ).status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"a": 1} {"b": 2}', b"[" * 100_000, b'{"a":' * 100_000]
)
async def test_a_body_that_is_no_json_object_is_refused_and_a_good_one_may_follow(ordered, body):
    refused = await ordered.call(body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_request")
    assert (ordered.stored, ordered.present.remote.answered_at) == (None, None)
    assert (await ordered.call()).status_code == 200


async def test_a_body_above_the_limit_is_refused_announced_or_not():
    settings = msgspec.structs.replace(API_SETTINGS, max_answer_bytes=1000)
    ordered = Ordered(await Api(fake_stores(), settings).open())

    async def pieces():
        for _ in range(20):
            yield b" " * 100

    for body in (b" " * 1001, pieces()):
        url = f"{ordered.api.url}/v1/provider-callbacks/deepgram/{ordered.token}"
        refused = await ordered.api.client.post(url, content=body, headers={"Content-Type": "application/json"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "payload_too_large")
        assert refused.json()["error"]["details"] == {"max_bytes": 1000}
    assert ordered.stored is None
    await ordered.api.client.aclose()


async def test_a_sender_that_falls_silent_holds_no_place(ordered, monkeypatch):
    monkeypatch.setattr(chunk_bodies, "SILENCE_S", 0.05)

    async def pieces():
        yield b"{"
        await asyncio.Event().wait()

    client = httpx.AsyncClient(transport=ordered.api.client._transport)  # 499 is told to nobody, so it is not described
    async with asyncio.timeout(5):
        answer = await client.post(f"{ordered.api.url}/v1/provider-callbacks/deepgram/{ordered.token}", content=pieces())
    assert answer.status_code == 499
    assert ordered.stored is None


@pytest.mark.parametrize("end", ["completed", "cancelled", "deleted", "turned elsewhere"])
async def test_an_answer_that_nobody_waits_for_is_let_go(ordered, end):
    present = ordered.present
    over = {"active": False, "job": present.job.ended(JobStatus.FAILED)}
    change = {
        "completed": over,
        "cancelled": over,
        "deleted": over | {"deleted_at": now()},
        "turned elsewhere": {"provider": ProviderName.ASSEMBLYAI, "remote": None, "tried": (ProviderName.DEEPGRAM,)},
    }
    ordered.be(present.changed(**change[end]))
    assert (await ordered.call()).status_code == 200
    assert ordered.stored is None


async def test_a_transcription_that_is_cancelled_while_its_answer_is_stored_leaves_nothing_of_it(ordered):
    async def cancelled():
        present = ordered.present
        ordered.be(present.changed(active=False, job=present.job.ended(JobStatus.FAILED)))

    ordered.api.stores.objects.before_confirming = cancelled
    assert (await ordered.call()).status_code == 200
    assert ordered.stored is None


@pytest.mark.parametrize("store", ["objects", "transcriptions"])
async def test_what_cannot_be_stored_is_not_acknowledged(ordered, store):
    getattr(ordered.api.stores, store).down = True
    answer = await ordered.call()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    getattr(ordered.api.stores, store).down = False
    assert (await ordered.call()).status_code == 200
    assert (ordered.stored, ordered.present.remote.answered_at is None) == (ANSWER, False)


def seen(answer):
    """All that a stranger sees, but what differs between any two answers."""
    error = answer.json()["error"]
    error.pop("request_id")
    return answer.status_code, error, set(answer.headers)
