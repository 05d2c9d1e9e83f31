"""What an endpoint's owner does to it, with the webhook stage running: disabling, enabling, rotating, testing."""

import asyncio
import base64
from datetime import timedelta

import pytest
import standardwebhooks
from aiohttp import web
from standardwebhooks.webhooks import WebhookVerificationError

from services.ingest.webhooks.examples import body_of_example, example_of
from services.webhooks.dispatch import Dispatcher, QueueOfTests
from services.webhooks.slots import Slots
from shared.domain.clock import now
from shared.domain.delivery import Delivery, DeliveryStatus, delivery_id
from shared.domain.transition import VersionConflict
from shared.domain.webhook import MAX_ENDPOINTS, DisabledReason, EndpointStatus, new_signing_secret
from shared.storage.webhook_deliveries import WebhookDeliveries
from shared.storage.webhook_endpoints import WebhookEndpoints
from tests.fakes.sealing import OTHER_SEALING_KEY, SEALING_KEY, a_sealing
from tests.fakes.webhook_facts import TENANT, an_endpoint, an_upload
from tests.fakes.webhook_receiver import assert_signed, eventually, platform_signature


async def ended(stage, endpoint):
    (row,) = await stage.rows(endpoint)
    return row if row.next_attempt_at is None else None


@pytest.fixture
async def run_tests(mongo):
    """Turn the queue of tests on for a stage."""
    loops = []

    def run(stage):
        tests = WebhookDeliveries(mongo, waiting=DeliveryStatus.TESTING)
        slots = Slots(8, 4)
        dispatcher = Dispatcher(stage.dispatcher._attempt, tests, slots, stage.worker)
        loops.append(asyncio.create_task(QueueOfTests(tests, stage.endpoints, dispatcher, slots, stage.worker).run(0.05)))

    yield run
    for loop in loops:
        loop.cancel()


def a_test_of(endpoint, event_type="transcription.completed"):
    event = example_of(event_type, endpoint.tenant)
    return Delivery(
        id=delivery_id(event.event_id, endpoint.id, event.occurred_at),
        event_id=event.event_id,
        event_type=event.type,
        endpoint_id=endpoint.id,
        project_id=endpoint.project_id,
        mode=endpoint.mode,
        recording_id=event.recording_id,
        occurred_at=event.occurred_at,
        body=body_of_example(event),
        status=DeliveryStatus.TESTING,
        next_attempt_at=now(),
        test=True,
        created_at=now(),
        updated_at=now(),
    )


async def test_what_is_due_at_a_disabled_endpoint_waits_and_goes_on_when_it_is_enabled(make_stage, make_receiver):
    stage = await make_stage(schedule=(0, 0.05, 60))
    receiver = await make_receiver(500)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    await receiver.received(1)
    await eventually(lambda: waits_unclaimed(stage, endpoint))
    await stage.endpoints.disable(endpoint, DisabledReason.FAILING)
    stage.run()
    await eventually(lambda: waits_long(stage, endpoint))
    assert len(receiver.heard) == 1
    present = await stage.present(endpoint)
    assert (present.disabled_reason, present.disabled_at is not None) == ("failing", True)
    await stage.endpoints.save(present, present.enabled())
    await stage.deliveries.resume(endpoint.id)  # unless whoever held it has: it looks at the endpoint once more
    row = await eventually(lambda: ended(stage, endpoint))
    assert (row.status, row.attempts_made) == (DeliveryStatus.SUCCEEDED, 2)


async def waits_unclaimed(stage, endpoint):
    (row,) = await stage.rows(endpoint)
    return row.attempts_made == 1 and row.worker is None


async def waits_long(stage, endpoint):
    (row,) = await stage.rows(endpoint)
    return row.status is DeliveryStatus.PENDING and row.next_attempt_at > now() + timedelta(minutes=50)


async def test_resuming_leaves_an_attempt_that_runs_alone(make_stage, make_receiver):
    stage = await make_stage()
    held = asyncio.Event()

    async def slow(_request):
        await held.wait()
        raise ConnectionError

    receiver = await make_receiver(slow)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    await receiver.received(1)
    assert await stage.deliveries.resume(endpoint.id) == 0
    held.set()


async def test_one_success_ends_a_run_of_failures(stage, receiver):
    endpoint = await stage.endpoint(receiver.url(), failing_since=now() - timedelta(days=4))
    await stage.fan_out(an_upload())
    await eventually(lambda: ended(stage, endpoint))

    async def well():
        return (await stage.present(endpoint)).failing_since is None

    assert await eventually(well)


async def test_an_enabled_endpoint_begins_without_a_history(stage):
    endpoint = await stage.endpoint("https://a.example/", failing_since=now() - timedelta(days=6))
    await stage.endpoints.disable(endpoint, DisabledReason.FAILING)
    present = await stage.present(endpoint)
    await stage.endpoints.save(present, present.enabled())
    present = await stage.present(endpoint)
    assert (present.status, present.failing_since, present.disabled_at) == (EndpointStatus.ENABLED, None, None)


class LateAnswer:
    """Answers `status` when told to; an attempt that waits for it is under way meanwhile."""

    def __init__(self, status):
        self.status, self.told = status, asyncio.Event()

    async def __call__(self, _request):
        await self.told.wait()
        return web.Response(status=self.status)


async def under_way(stage, make_receiver, late, **fields):
    """Return an endpoint with an attempt under way whose answer comes late; whatever else goes there is gone."""
    receiver = await make_receiver(late, default=410)
    endpoint = await stage.endpoint(receiver.url(), **fields)
    await stage.fan_out(an_upload())
    await receiver.received(1)
    return endpoint


async def noted(stage, late):
    """Let the answer come, and return when whatever follows from it is done."""
    late.told.set()
    await stage.dispatcher.drain(5)


@pytest.mark.parametrize("status", [410, 500])
async def test_what_the_old_url_answers_says_nothing_of_the_new_one(stage, make_receiver, status):
    late = LateAnswer(status)
    endpoint = await under_way(stage, make_receiver, late)
    await stage.endpoints.save(endpoint, endpoint.changed(url="https://new.example/"))
    await noted(stage, late)
    assert (await stage.only(endpoint)).attempts[0].status_code == status
    present = await stage.present(endpoint)
    assert (present.status, present.failing_since) == (EndpointStatus.ENABLED, None)


async def test_that_the_old_url_is_well_ends_no_run_of_failures_of_the_new_one(stage, make_receiver):
    since, late = now() - timedelta(days=4), LateAnswer(200)
    endpoint = await under_way(stage, make_receiver, late, failing_since=since)
    await stage.endpoints.save(endpoint, endpoint.changed(url="https://new.example/", failing_since=None))
    assert await stage.endpoints.note_failure(await stage.present(endpoint), since) == since
    await noted(stage, late)
    assert (await stage.present(endpoint)).failing_since == since


async def test_a_410_from_before_it_was_enabled_again_does_not_disable_it_once_more(stage, make_receiver):
    late = LateAnswer(410)
    endpoint = await under_way(stage, make_receiver, late)
    await stage.fan_out(an_upload())  # this one is answered at once

    async def disabled():
        present = await stage.present(endpoint)
        return present if present.status is EndpointStatus.DISABLED else None

    present = await eventually(disabled)
    await stage.endpoints.save(present, present.enabled())
    await noted(stage, late)
    assert (await stage.present(endpoint)).status is EndpointStatus.ENABLED


async def test_in_its_grace_an_old_secret_still_verifies_by_the_independent_library(stage, receiver):
    endpoint = await stage.endpoint(receiver.url())
    old, new = endpoint.secrets[0].value, new_signing_secret()
    await stage.endpoints.save(endpoint, endpoint.rotated(new, timedelta(hours=1)))
    await stage.fan_out(an_upload())
    (heard,) = await receiver.received(1)
    headers = dict(heard.headers)
    for secret in (new, old):
        assert standardwebhooks.Webhook(secret).verify(heard.body, headers)["id"] == heard.header("webhook-id")
    assert len(heard.header("webhook-signature").split(" ")) == 2
    assert heard.header("X-Bota-Signature") == platform_signature(new, heard)


async def test_after_its_grace_an_old_secret_does_not(stage, receiver):
    endpoint = await stage.endpoint(receiver.url())
    old = endpoint.secrets[0].value
    await stage.endpoints.save(endpoint, endpoint.rotated(new_signing_secret(), timedelta(0)))
    await stage.fan_out(an_upload())
    (heard,) = await receiver.received(1)
    with pytest.raises(WebhookVerificationError):
        standardwebhooks.Webhook(old).verify(heard.body, dict(heard.headers))
    assert_signed((await stage.present(endpoint)).secrets[0].value, heard)


async def test_a_test_is_sent_once_and_counts_for_nothing(stage, make_receiver, run_tests):
    receiver = await make_receiver(default=500)
    endpoint = await stage.endpoint(receiver.url())
    run_tests(stage)
    stage.run()
    await stage.deliveries.add_new([a_test_of(endpoint)])
    row = await eventually(lambda: ended(stage, endpoint))
    assert (row.status, row.test, row.attempts_made) == (DeliveryStatus.FAILED, True, 1)
    assert (row.attempts[0].manual, row.attempts[0].status_code) == (True, 500)
    assert (await stage.present(endpoint)).failing_since is None
    assert_signed(endpoint.secrets[0].value, receiver.heard[0])
    assert receiver.heard[0].json["data"]["test"] is True


async def test_a_test_goes_to_a_disabled_endpoint_and_past_its_backlog(stage, receiver, run_tests):
    endpoint = await stage.endpoint(receiver.url(), status=EndpointStatus.DISABLED)
    run_tests(stage)
    await stage.deliveries.add_new([a_test_of(endpoint)])
    row = await eventually(lambda: ended(stage, endpoint))
    assert row.status is DeliveryStatus.SUCCEEDED
    assert await stage.deliveries.queue_state() == (0, 0.0)


async def test_the_usual_queue_does_not_see_tests(stage, receiver):
    endpoint = await stage.endpoint(receiver.url())
    await stage.deliveries.add_new([a_test_of(endpoint)])
    assert await stage.deliveries.next_due("", []) is None
    assert await stage.deliveries.tests_under_way(endpoint.id, 5) == 1


async def test_a_hundred_endpoints_at_most_however_many_are_made_at_once(mongo):
    endpoints = WebhookEndpoints(mongo, a_sealing())
    await endpoints.ensure_indexes()
    made = await asyncio.gather(*(endpoints.add(an_endpoint("https://a.example/")) for _ in range(MAX_ENDPOINTS + 20)))
    assert made.count(True) == MAX_ENDPOINTS
    kept = await endpoints.page(TENANT, 200)
    assert len(kept) == MAX_ENDPOINTS
    assert await endpoints.remove(TENANT, kept[7].id)
    assert await endpoints.add(an_endpoint("https://b.example/"))
    assert not await endpoints.add(an_endpoint("https://c.example/"))


async def test_a_change_from_an_older_state_is_not_stored(stage):
    endpoint = await stage.endpoint("https://a.example/")
    await stage.endpoints.disable(endpoint, DisabledReason.GONE)
    with pytest.raises(VersionConflict):
        await stage.endpoints.save(endpoint, endpoint.changed(description="late"))
    assert (await stage.present(endpoint)).status is EndpointStatus.DISABLED


async def test_no_secret_stands_in_the_database_in_clear(stage, mongo):
    endpoint = await stage.endpoint("https://a.example/")
    await stage.endpoints.save(endpoint, endpoint.rotated(new_signing_secret(), timedelta(hours=1)))
    document = await mongo.database["webhook_endpoints"].find_one({"_id": endpoint.id})
    assert len(document["secrets"]) == 2
    assert "whsec_" not in str(document)
    assert base64.b64encode(endpoint.secrets[0].value.encode()).decode().rstrip("=") not in str(document)


async def test_the_sealing_key_can_be_changed_step_by_step(stage, mongo):
    endpoint = await stage.endpoint("https://a.example/")
    between = WebhookEndpoints(mongo, a_sealing(OTHER_SEALING_KEY, SEALING_KEY))
    assert (await between.get(TENANT, endpoint.id)).secrets == endpoint.secrets
    after = WebhookEndpoints(mongo, a_sealing(OTHER_SEALING_KEY))
    assert (await after.get(TENANT, endpoint.id)).secrets == ()
    assert [(await between.reseal()).documents for _ in range(2)] == [1, 0]
    assert (await after.get(TENANT, endpoint.id)).secrets == endpoint.secrets
    assert (await stage.present(endpoint)).secrets == ()
