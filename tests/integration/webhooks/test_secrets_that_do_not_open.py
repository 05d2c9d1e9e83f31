"""An endpoint whose signing secret cannot be opened waits by itself: nothing of it is lost, and nobody else is kept back."""

import asyncio
from datetime import timedelta

import pytest

from services.webhooks import dispatch
from shared.domain.delivery import DeliveryStatus
from shared.domain.webhook import new_signing_secret
from shared.storage.documents import Documents
from shared.storage.webhook_endpoints import WebhookEndpoints
from tests.fakes.sealing import OTHER_SEALING_KEY, SEALING_KEY, a_sealing
from tests.fakes.webhook_facts import TENANT, an_upload
from tests.fakes.webhook_receiver import assert_signed, eventually


def under_a_key_not_given(sealed, place):
    return a_sealing(OTHER_SEALING_KEY).seal("whsec_other", place)


def damaged(sealed, _place):
    return sealed[:-8] + "AAAAAAA="


def no_seal_at_all(_sealed, _place):
    return "whsec_in_clear"


SPOILED = pytest.mark.parametrize("spoil", [under_a_key_not_given, damaged, no_seal_at_all])


async def spoiled(mongo, endpoint, spoil):
    """Spoil the endpoint's secret in the database; return it as it was."""
    rows = mongo.database["webhook_endpoints"]
    (secret,) = (await rows.find_one({"_id": endpoint.id}))["secrets"]
    value = spoil(secret["value"], f"webhook_endpoints/{endpoint.id}")
    await rows.update_one({"_id": endpoint.id}, {"$set": {"secrets.0.value": value}})
    return secret["value"]


@SPOILED
async def test_the_others_of_its_project_hear_at_once_and_it_hears_once_it_opens_again(
    stage, mongo, make_receiver, monkeypatch, spoil
):
    monkeypatch.setattr(dispatch, "UNSIGNED_HOLD", timedelta(seconds=0.1))
    its_own, others = await make_receiver(), await make_receiver()
    endpoint, other = await stage.endpoint(its_own.url()), await stage.endpoint(others.url())
    sealed = await spoiled(mongo, endpoint, spoil)
    stage.run()
    event = an_upload()
    await stage.fan_out(event)
    (heard,) = await others.received(1)
    assert_signed(other.secrets[0].value, heard)
    row = await stage.only(endpoint)
    assert (row.status, row.attempts_made) == (DeliveryStatus.PENDING, 0)
    await mongo.database["webhook_endpoints"].update_one({"_id": endpoint.id}, {"$set": {"secrets.0.value": sealed}})
    (heard,) = await its_own.received(1)
    assert_signed(endpoint.secrets[0].value, heard)
    assert heard.json["id"] == event.event_id


@SPOILED
async def test_what_is_due_elsewhere_does_not_wait_for_it(stage, mongo, make_receiver, spoil):
    busy = await make_receiver(500, 500, 500)
    first, second = [await stage.endpoint(url) for url in ("https://a.example/", busy.url())]
    await spoiled(mongo, first, spoil)
    await stage.fan_out(an_upload())
    looking = asyncio.create_task(stage.due.run(0.05))
    assert len(await busy.received(4)) == 4
    assert not looking.done()
    looking.cancel()
    row = await eventually(lambda: stage.only(second))
    assert row.endpoint_id == second.id


@SPOILED
async def test_it_can_be_listed_changed_and_given_another_secret(stage, mongo, receiver, spoil):
    endpoint = await stage.endpoint(receiver.url())
    await spoiled(mongo, endpoint, spoil)
    (listed,) = await stage.endpoints.page(TENANT, 10)
    assert (listed.id, listed.can_sign) == (endpoint.id, False)
    before = await mongo.database["webhook_endpoints"].find_one({"_id": endpoint.id})
    await stage.endpoints.save(listed, listed.changed(description="still there"))
    after = await mongo.database["webhook_endpoints"].find_one({"_id": endpoint.id})
    assert (after["description"], after["secrets"]) == ("still there", before["secrets"])
    present, secret = await stage.present(endpoint), new_signing_secret()
    await stage.endpoints.save(present, present.rotated(secret, timedelta(0)))
    await stage.fan_out(an_upload())
    (heard,) = await receiver.received(1)
    assert_signed(secret, heard)


async def test_an_endpoint_that_changes_while_it_is_sealed_anew_is_sealed_anew(stage, mongo, monkeypatch):
    endpoint = await stage.endpoint("https://a.example/")
    between = WebhookEndpoints(mongo, a_sealing(OTHER_SEALING_KEY, SEALING_KEY))
    read = Documents.get

    async def find_and_change(*args, **options):
        found = await read(*args, **options)
        monkeypatch.undo()
        await stage.endpoints.save(endpoint, endpoint.changed(description="meanwhile"))
        return found

    monkeypatch.setattr(Documents, "get", find_and_change)
    assert (await between.reseal()).documents == 1
    present = await WebhookEndpoints(mongo, a_sealing(OTHER_SEALING_KEY)).get(TENANT, endpoint.id)
    assert (present.description, present.secrets) == ("meanwhile", endpoint.secrets)
