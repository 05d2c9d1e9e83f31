"""The texts of deliveries are erased while others make, claim and replay deliveries: what is empty is never sent."""

import pytest

from shared.domain.clock import now
from shared.domain.delivery import Attempt, Delivery, DeliveryStatus
from shared.domain.transition import TransitionRefused
from shared.storage.webhook_deliveries import WebhookDeliveries
from tests.fakes.webhook_facts import TENANT


@pytest.fixture
async def deliveries(mongo):
    deliveries = WebhookDeliveries(mongo)
    await deliveries.ensure_indexes()
    return deliveries


def waiting(name, event_type="recording.uploaded"):
    """A delivery about the recording that is to be deleted."""
    at = now()
    return Delivery(
        id=f"whd_{name}",
        event_id=f"evt_{name}",
        event_type=event_type,
        endpoint_id="whe_1",
        project_id=TENANT.project_id,
        mode=TENANT.mode,
        recording_id="rec_1",
        occurred_at=at,
        body=b'{"text": "said"}',
        next_attempt_at=at,
        created_at=at,
        updated_at=at,
    )


async def sent(deliveries, name):
    """A delivery that was taken."""
    await deliveries.add_new([waiting(name)])
    claimed = await deliveries.claim(await deliveries.next_due("", []), "worker", now())
    answered = Attempt(number=1, at=now(), duration_ms=1, status_code=200, response="said")
    assert await deliveries.record(claimed, claimed.attempted(answered, DeliveryStatus.SUCCEEDED, None))


async def test_what_waits_is_cancelled_and_no_text_stays_but_that_of_the_deletion(deliveries):
    await sent(deliveries, "sent")
    await deliveries.add_new([waiting("waits"), waiting("news", "recording.deleted")])
    for _ in range(2):
        await deliveries.erase_texts(TENANT, "rec_1")
        found = {name: await deliveries.get(TENANT, f"whd_{name}") for name in ("sent", "waits", "news")}
        assert {name: (one.status, one.body) for name, one in found.items()} == {
            "sent": ("succeeded", b""),
            "waits": ("cancelled", b""),
            "news": ("pending", waiting("news").body),
        }
        assert [attempt.response for attempt in found["sent"].attempts] == [""]


async def test_a_delivery_made_while_texts_are_erased_is_sent_whole_or_not_at_all(deliveries, monkeypatch):
    change, made = deliveries._documents.update_many, []

    async def change_and_make(*args, **options):
        changed = await change(*args, **options)
        made.append(f"late_{len(made)}")
        await deliveries.draft_new([waiting(made[-1])])
        return changed

    monkeypatch.setattr(deliveries._documents, "update_many", change_and_make)
    await deliveries.erase_texts(TENANT, "rec_1")
    for name in made:
        late = await deliveries.get(TENANT, f"whd_{name}")
        assert (late.status, late.body) in {("pending", waiting(name).body), ("cancelled", b"")}


async def test_a_replay_asked_for_while_texts_are_erased_is_refused(deliveries, monkeypatch):
    await sent(deliveries, "sent")
    get = deliveries.get

    async def get_before_it_is_erased(*args):
        found = await get(*args)
        await deliveries.erase_texts(TENANT, "rec_1")
        return found

    monkeypatch.setattr(deliveries, "get", get_before_it_is_erased)
    with pytest.raises(TransitionRefused):
        await deliveries.replay(TENANT, "whd_sent")
    assert (await get(TENANT, "whd_sent")).status == "succeeded"
    assert await deliveries.next_due("", []) is None


async def test_what_was_just_cancelled_has_no_text_left_to_replay(deliveries, monkeypatch):
    await deliveries.add_new([waiting("waits")])
    change, answers = deliveries._documents.update_many, []

    async def change_and_replay(*args, **options):
        changed = await change(*args, **options)
        try:
            answers.append(await deliveries.replay(TENANT, "whd_waits"))
        except TransitionRefused:
            answers.append("refused")
        return changed

    monkeypatch.setattr(deliveries._documents, "update_many", change_and_replay)
    await deliveries.erase_texts(TENANT, "rec_1")
    assert answers == ["refused", "refused"]
    assert (await deliveries.get(TENANT, "whd_waits")).status == "cancelled"
