"""Every POST of the description, sent twice under one idempotency key by whoever may: one answer, kept and given again (A18)."""

import contextlib

import msgspec
import pytest

from shared.domain.ids import new_ulid
from tests.conformance import operations
from tests.fakes.ingest import API_SETTINGS, Api, fake_stores
from tests.tenant_matrix import OWN, TAKERS, ask, prepared, success_of
from tests.tenants import World

BEYOND_REPEAT = {"device_refresh_token"}  # its first answer takes from the repeat the token that it comes with
POSTS = [
    pytest.param(operation, TAKERS[kind], id=f"{operation[2]['operationId']} {kind}")
    for operation in operations()
    for kind in TAKERS
    if operation[0] == "POST" and kind in operation[2]["x-credentials"] and operation[2]["operationId"] not in BEYOND_REPEAT
]


@pytest.fixture(scope="module")
async def world():
    """Two projects over fakes, opened once."""
    api = Api(fake_stores(), msgspec.structs.replace(API_SETTINGS, webhooks_test_wait_s=0))
    yield await World(api).open()
    await api.client.aclose()


@contextlib.contextmanager
def keyed(world):
    """Have every request of the block sent under one key."""
    headers = world.api.client.headers
    headers["Idempotency-Key"] = new_ulid()
    try:
        yield
    finally:
        del headers["Idempotency-Key"]


@pytest.mark.parametrize(("operation", "bearer"), POSTS)
async def test_the_first_answer_is_given_again(world, operation, bearer):
    await world.furnish()
    ids, secret = world.ids | await prepared(world, operation), world.credentials[bearer]
    with keyed(world):
        first, again = [await ask(world, operation, secret, ids) for _ in range(2)]
    kept = operation[2]["operationId"] not in OWN  # where the moment is wrong in this world, it may be right the next time
    assert first.status_code == OWN.get(operation[2]["operationId"], success_of(operation)), first.text
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (first.status_code, "true" if kept else None)
    assert again.content == first.content or not kept
