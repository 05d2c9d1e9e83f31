"""Idempotency keys of requests whose bodies are too large to hold: hashed as they pass, compared at the end."""

import asyncio
import hashlib
from datetime import timedelta

import httpx
import msgspec
import pytest
from litestar import Litestar, post
from litestar.datastructures import State

from services.ingest.api_request import ApiRequest
from services.ingest.api_response import ApiResponse
from services.ingest.edge import Edge
from services.ingest.idempotency.once import Once
from services.ingest.idempotency.repeats import MAX_KEPT_BYTES, KeepsAnswers, recall
from services.ingest.limits import MAX_BODY_BYTES
from services.ingest.problems import answer_problem
from services.ingest.rates.strangers import Strangers
from services.ingest.refusals import PayloadTooLarge
from services.ingest.request_context import RequestContext, context_of, place
from shared.domain.clock import now
from shared.domain.kept_answer import ClaimedRequest
from shared.telemetry.health import Health
from tests.fakes.answers import FakeAnswers

HEADERS = {"Idempotency-Key": "stream-1"}
PIECE = bytes(range(256)) * 256


class Taken(msgspec.Struct):
    sha256: str
    times: int


class World:
    """A route that streams its body, one that answers at length, and what they did."""

    def __init__(self):
        self.answers, self.taken, self.most_held = FakeAnswers(), [], 0
        once = Once(self.answers)
        app = Litestar(
            [self._routes()[0], self._routes()[1]],
            before_request=recall,
            request_class=ApiRequest,
            response_class=ApiResponse,
            request_max_body_size=MAX_BODY_BYTES,
            exception_handlers={Exception: answer_problem},
            state=State({"once": once}),
            openapi_config=None,
        )
        edge = Edge(KeepsAnswers(app, once), Health({}), Strangers(60))
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=edge), base_url="http://api.test")

    def _routes(self):
        @post("/stream", guards=[self._let_in], request_max_body_size=None)
        async def stream(request: ApiRequest) -> Taken:
            digest, size = hashlib.sha256(), 0
            async for piece in request.stream():
                digest.update(piece)
                size += len(piece)
                if size > 100 * len(PIECE):
                    raise PayloadTooLarge("too much")
            self.taken.append(digest.hexdigest())
            return Taken(digest.hexdigest(), len(self.taken))

        @post("/long", guards=[self._let_in])
        async def long(request: ApiRequest) -> Taken:
            self.taken.append("")
            return Taken("x" * (MAX_KEPT_BYTES + 1), len(self.taken))

        return stream, long

    @staticmethod
    async def _let_in(connection, _):
        ApiRequest(connection.scope).context.operator = True

    async def send(self, pieces, path="/stream"):
        async def body():
            for piece in pieces:
                yield piece

        return await self.client.post(path, content=body(), headers=HEADERS)


@pytest.fixture
async def world():
    world = World()
    yield world
    await world.client.aclose()


async def test_a_repeated_stream_gets_the_first_answer(world):
    first = await world.send([PIECE] * 50)
    second = await world.send([PIECE * 2] * 25)  # the same bytes in other pieces
    assert (first.status_code, second.content) == (201, first.content)
    assert second.headers["idempotency-replayed"] == "true"
    assert len(world.taken) == 1


async def test_another_stream_under_the_same_key_is_refused(world):
    await world.send([PIECE] * 50)
    second = await world.send([PIECE] * 49 + [PIECE[::-1]])
    assert (second.status_code, second.json()["error"]["code"]) == (409, "idempotency_key_reuse")


async def test_a_stream_that_was_not_read_to_its_end_is_not_kept(world):
    assert (await world.send([PIECE] * 101)).status_code == 413
    assert not any(request.answer for request in world.answers.requests.values())
    assert (await world.send([PIECE] * 50)).status_code == 201


async def test_an_answer_that_is_too_long_to_keep_is_sent_whole_and_not_kept(world):
    answers = [await world.send([b"{}"], "/long") for _ in range(2)]
    assert [answer.json()["times"] for answer in answers] == [1, 2]


async def test_a_claim_is_renewed_for_as_long_as_its_request_runs():
    answers = FakeAnswers()
    once = Once(answers, lease=timedelta(milliseconds=90))
    claim = await once.begin("r", "f")
    first = answers.requests["r"].leased_until
    async with asyncio.timeout(5):
        while answers.requests["r"].leased_until == first:
            await asyncio.sleep(0.005)
    await once.let_go(claim)
    assert answers.requests["r"].leased_until <= now()
    assert not once._renewals


async def test_a_claim_that_was_let_go_is_renewed_no_more():
    answers = FakeAnswers()
    once = Once(answers, lease=timedelta(milliseconds=30))
    claim = await once.begin("r", "f")
    (renewal,) = once._renewals.values()
    await once.let_go(claim)
    async with asyncio.timeout(5):
        (ended,) = await asyncio.gather(renewal, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError)
    await once.let_go(await once.begin("r", "f"))  # a repeat runs at once


async def test_a_request_that_was_broken_off_may_be_repeated_at_once():
    once = Once(FakeAnswers())

    async def broken_off(scope, _receive, _send):
        context_of(scope).claim = await once.begin("r", "f")
        raise asyncio.CancelledError

    scope = {"type": "http", "method": "POST", "headers": [(b"idempotency-key", b"k")]}
    place(scope, RequestContext("req_1", dict(scope["headers"])))
    with pytest.raises(asyncio.CancelledError):
        await KeepsAnswers(broken_off, once)(scope, None, None)
    await once.let_go(await once.begin("r", "f"))


async def test_only_one_of_many_takes_over_what_a_dead_process_left():
    answers = FakeAnswers()
    past = now() - timedelta(seconds=1)
    dead = ClaimedRequest(
        id="r", fingerprint="f", token="t", first_at=past, leased_until=past, expires_at=now() + timedelta(hours=1)
    )
    await answers.claim(dead)
    once = Once(answers)
    outcomes = await asyncio.gather(*(once.begin("r", "f") for _ in range(10)), return_exceptions=True)
    claims = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert len(claims) == 1
    assert claims[0].first_at == dead.first_at
    await once.let_go(claims[0])
