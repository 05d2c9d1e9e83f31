"""Claimed requests and rate windows: one suite over the fakes and the real collections; and what is at rest of secrets."""

import asyncio
import secrets
from datetime import timedelta

import msgspec
import pytest

from shared.domain.clock import now
from shared.domain.errors import AlreadyExists
from shared.domain.ids import new_id
from shared.domain.kept_answer import Answer, ClaimedRequest
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.secret import secret_sha256
from shared.domain.tenant import Mode
from shared.domain.upload_token import UploadToken, new_upload_token
from shared.storage.idempotency_keys import IdempotencyKeys
from shared.storage.mongo import Mongo
from shared.storage.rate_windows import RateWindows
from shared.storage.recordings import Recordings
from shared.storage.upload_tokens import UploadTokens
from tests.fakes.answers import FakeAnswers, FakeUploadTokens, FakeWindows
from tests.fakes.ingest import FakeRecordings
from tests.fakes.sealing import a_sealing

ANSWER = Answer(status=201, headers=((b"content-type", b"application/json"),), body=b'{"secret":"whsec_shown_once"}')


@pytest.fixture
async def mongo(mongo_settings):
    mongo = Mongo(mongo_settings)
    stores = IdempotencyKeys(mongo, a_sealing()), RateWindows(mongo), UploadTokens(mongo), Recordings(mongo)
    await asyncio.gather(*(store.ensure_indexes() for store in stores * 3))  # as replicas that start together
    yield mongo
    mongo.close()


@pytest.fixture(params=["fake", "real"])
def kind(request):
    return request.param


@pytest.fixture
def answers(kind, mongo):
    return FakeAnswers() if kind == "fake" else IdempotencyKeys(mongo, a_sealing())


def a_request(request_id="r1", **fields):
    at = now()
    lease = {"leased_until": at + timedelta(seconds=30), "expires_at": at + timedelta(hours=24)}
    return ClaimedRequest(id=request_id, fingerprint="f", token=secrets.token_hex(4), first_at=at, **(lease | fields))


async def test_a_request_is_claimed_by_one_of_many(answers):
    requests = [a_request() for _ in range(20)]
    won = [request for request in requests if await answers.claim(request)]
    raced = await asyncio.gather(*(answers.claim(a_request("r2")) for _ in range(20)))
    assert won == requests[:1]
    assert sum(raced) == 1
    assert await answers.get("r1") == requests[0]
    assert await answers.get("r3") is None


async def test_an_answer_is_read_back_as_it_was(answers):
    request = a_request()
    await answers.claim(request)
    await answers.settle(request.claim, ANSWER)
    assert (await answers.get("r1")).answer == ANSWER


async def test_the_first_answer_stands(answers):
    request = a_request()
    await answers.claim(request)
    await answers.settle(request.claim, ANSWER)
    kept = await answers.get(request.id)
    await answers.settle(request.claim, msgspec.structs.replace(ANSWER, body=b"another"))
    await answers.settle(request.claim, None)
    await answers.renew(request.claim, now() + timedelta(hours=1))
    assert await answers.get(request.id) == kept


async def test_letting_go_ends_the_lease_and_keeps_the_rest(answers):
    request = a_request()
    await answers.claim(request)
    await answers.settle(request.claim, None)
    left = await answers.get("r1")
    assert left.leased_until <= now()
    assert (left.first_at, left.answer) == (request.first_at, None)


async def test_a_claim_that_was_taken_over_can_do_nothing_any_more(answers):
    old, fresh = a_request(), a_request()
    await answers.claim(old)
    assert await answers.take_over(old, fresh)
    await answers.settle(old.claim, ANSWER)
    await answers.renew(old.claim, now() + timedelta(hours=1))
    assert await answers.get("r1") == fresh


async def test_one_of_many_takes_over(answers):
    stale = a_request()
    await answers.claim(stale)
    assert sum(await asyncio.gather(*(answers.take_over(stale, a_request()) for _ in range(20)))) == 1


async def test_what_was_renewed_or_answered_since_it_was_read_is_not_taken_over(answers):
    for change in (
        lambda request: answers.renew(request.claim, now() + timedelta(hours=1)),
        lambda request: answers.settle(request.claim, ANSWER),
    ):
        request = a_request(secrets.token_hex(4))
        await answers.claim(request)
        await change(request)
        assert not await answers.take_over(request, a_request(request.id))


async def test_an_expired_answer_is_taken_over(answers):
    request = a_request()
    await answers.claim(request)
    await answers.settle(request.claim, ANSWER)
    assert await answers.take_over(await answers.get("r1"), a_request())
    assert (await answers.get("r1")).answer is None


async def test_windows_add_up_over_all_who_take(kind, mongo):
    windows = FakeWindows() if kind == "fake" else RateWindows(mongo)
    until = now() + timedelta(minutes=2)
    sums = await asyncio.gather(*(windows.take("proj_1/requests_m/1", 3, until) for _ in range(30)))
    assert sorted(sums) == list(range(3, 91, 3))
    assert await windows.take("proj_1/requests_m/2", 5, until) == 5


async def test_a_token_is_found_by_its_hash(kind, mongo):
    tokens = FakeUploadTokens() if kind == "fake" else UploadTokens(mongo)
    ids = {"project_id": "proj_1", "mode": Mode.TEST, "recording_id": "rec_1", "media_id": "med_1"}
    token = UploadToken(secret_sha256=secret_sha256(new_upload_token()), expires_at=now(), **ids)
    await tokens.add(token)
    assert await tokens.by_secret(token.secret_sha256) == token
    assert await tokens.by_secret("another") is None


def a_recording(**fields):
    at = now()
    pair = {"recording_uuid": "u", "recording_generation": 1, "device_id": "dev_1", "project_id": "proj_1", "mode": Mode.LIVE}
    return Recording(id=new_id("rec"), status=RecordingStatus.PENDING, created_at=at, updated_at=at, **(pair | fields))


async def test_one_recording_of_a_uuid_is_stored(kind, mongo):
    recordings = FakeRecordings() if kind == "fake" else Recordings(mongo)
    outcomes = await asyncio.gather(*(recordings.add(a_recording()) for _ in range(20)), return_exceptions=True)
    stored = [outcome for outcome in outcomes if isinstance(outcome, Recording)]
    assert len(stored) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 19
    assert await recordings.twin_of(a_recording()) == stored[0]


@pytest.mark.parametrize(
    "other",
    [{"recording_uuid": "v"}, {"recording_generation": 2}, {"device_id": None}, {"project_id": "proj_2"}, {"mode": Mode.TEST}],
)
async def test_a_recording_that_differs_is_no_twin(kind, mongo, other):
    recordings = FakeRecordings() if kind == "fake" else Recordings(mongo)
    await recordings.add(a_recording())
    assert await recordings.twin_of(a_recording(**other)) is None
    await recordings.add(a_recording(**other))


async def test_recordings_without_a_uuid_and_deleted_ones_are_no_twins(kind, mongo):
    recordings = FakeRecordings() if kind == "fake" else Recordings(mongo)
    for _ in range(3):
        await recordings.add(a_recording(recording_uuid=None))
    first = await recordings.add(a_recording())
    await recordings.save(first, first.deleted(now()))
    assert await recordings.twin_of(a_recording()) is None
    await recordings.add(a_recording())


async def test_no_answer_can_be_read_in_the_database(mongo):
    answers, request = IdempotencyKeys(mongo, a_sealing()), a_request()
    await answers.claim(request)
    await answers.settle(request.claim, ANSWER)
    stored = await mongo.database["idempotency_keys"].find_one({"_id": "r1"})
    assert "whsec_shown_once" not in repr(stored)
    await mongo.database["idempotency_keys"].insert_one({**stored, "_id": "r2"})
    with pytest.raises(Exception, match="r2"):  # sealed for another request
        await answers.get("r2")


@pytest.mark.parametrize("collection", ["idempotency_keys", "rate_windows", "upload_tokens"])
async def test_what_has_expired_goes_by_itself(mongo, collection):
    indexes = await mongo.database[collection].index_information()
    assert indexes["expiry"]["key"] == [("expires_at", 1)]
    assert indexes["expiry"]["expireAfterSeconds"] == 0


async def test_every_document_says_when_it_expires(mongo):
    answers, windows = IdempotencyKeys(mongo, a_sealing()), RateWindows(mongo)
    request = a_request()
    await answers.claim(request)
    await answers.take_over(request, msgspec.structs.replace(request, token="t"))
    await windows.take("w", 1, now())
    for collection in ("idempotency_keys", "rate_windows"):
        assert (await mongo.database[collection].find_one())["expires_at"] is not None
