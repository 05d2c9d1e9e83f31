"""An event becomes one signed POST per endpoint; what fails is tried again by the schedule, what is gone is left alone."""

import asyncio
from datetime import timedelta

import pytest
from aiohttp import web

from shared.domain.clock import now
from shared.domain.delivery import AttemptError, DeliveryStatus
from shared.domain.tenant import Mode, Tenant
from shared.domain.transition import TransitionRefused
from shared.domain.webhook import EndpointSecret, EndpointStatus, new_signing_secret
from shared.events.recording import RecordingDeleted, recording_event, upload_claimed
from tests.fakes.counts import counted
from tests.fakes.webhook_facts import TENANT, a_completion, a_creation, a_recording, a_transcript, a_transcription, an_upload
from tests.fakes.webhook_receiver import assert_signed, eventually, platform_signature, standard_signature


async def settled(stage, endpoint):
    """Return the endpoint's only delivery once it is over."""

    async def over():
        row = await stage.only(endpoint)
        return row if row.status is not DeliveryStatus.PENDING else None

    return await eventually(over)


async def test_an_upload_is_posted_at_once_signed_and_recorded(stage, receiver):
    endpoint = await stage.endpoint(receiver.url())
    upload, timed = an_upload(), counted("stage_seconds_count", stage="fan_out")
    await stage.fan_out(upload)
    assert counted("stage_seconds_count", stage="fan_out") == timed + 1
    (heard,) = await receiver.received(1)
    assert_signed(endpoint.secrets[0].value, heard)
    assert heard.json["id"] == upload.event_id
    assert heard.json["type"] == "recording.uploaded"
    assert heard.json["data"]["duration_seconds"] == 1847.5
    assert heard.json["data"]["metadata"] == {"room": "Zürich", "nested": {"n": [1, 2.5, None]}}
    row = await settled(stage, endpoint)
    assert (row.status, row.next_attempt_at, row.tries, row.worker) == (DeliveryStatus.SUCCEEDED, None, 1, None)
    assert [(attempt.number, attempt.status_code, attempt.error) for attempt in row.attempts] == [(1, 200, None)]
    assert row.body == heard.body


async def test_the_request_is_plain(stage, receiver):
    await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    (heard,) = await receiver.received(1)
    assert heard.header("Content-Type") == "application/json"
    assert heard.header("Content-Length") == str(len(heard.body))
    assert heard.header("User-Agent").startswith("Earwitness-Webhooks/")
    assert not heard.has("Transfer-Encoding")
    assert not heard.has("Content-Encoding")


async def test_a_500_is_tried_again_with_the_same_bytes_and_a_fresh_signature(make_stage, make_receiver):
    stage = await make_stage(schedule=(0, 1.2))  # long enough for the timestamp to move on
    stage.run()
    receiver = await make_receiver(500)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    first, second = await receiver.received(2)
    assert second.body == first.body
    assert int(second.header("webhook-timestamp")) > int(first.header("webhook-timestamp"))
    assert_signed(endpoint.secrets[0].value, first)
    assert_signed(endpoint.secrets[0].value, second)
    row = await settled(stage, endpoint)
    assert row.status is DeliveryStatus.SUCCEEDED
    assert [attempt.status_code for attempt in row.attempts] == [500, 200]
    await eventually(lambda: healthy(stage, endpoint))


async def healthy(stage, endpoint):
    return (await stage.present(endpoint)).failing_since is None


async def test_after_the_last_attempt_the_delivery_has_failed(stage, make_receiver):
    stage.run()
    receiver = await make_receiver(default=503)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    row = await settled(stage, endpoint)
    assert row.status is DeliveryStatus.FAILED
    assert [attempt.number for attempt in row.attempts] == [1, 2, 3, 4]
    assert len(receiver.heard) == 4
    assert (await stage.present(endpoint)).failing_since is not None


async def test_410_ends_the_delivery_and_disables_the_endpoint(stage, make_receiver):
    stage.run()
    receiver = await make_receiver(410)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    row = await settled(stage, endpoint)
    assert (row.status, len(row.attempts)) == (DeliveryStatus.FAILED, 1)
    await eventually(lambda: disabled(stage, endpoint))
    assert (await stage.present(endpoint)).disabled_reason == "gone"
    await stage.fan_out(an_upload())
    assert len(await stage.rows(endpoint)) == 1


async def disabled(stage, endpoint):
    return (await stage.present(endpoint)).status is EndpointStatus.DISABLED


async def test_an_endpoint_without_success_for_too_long_is_disabled(make_stage, make_receiver):
    stage = await make_stage(disable_after_s=100)
    receiver = await make_receiver(default=500)
    fresh = await stage.endpoint(receiver.url("/fresh"), failing_since=now() - timedelta(seconds=50))
    tired = await stage.endpoint(receiver.url("/tired"), failing_since=now() - timedelta(seconds=101))
    await stage.fan_out(an_upload())
    await eventually(lambda: disabled(stage, tired))
    assert (await stage.present(tired)).disabled_reason == "failing"
    assert not await disabled(stage, fresh)


async def test_a_redirect_is_a_failure_and_is_not_followed(make_stage, make_receiver):
    stage = await make_stage(schedule=(0,))
    other = await make_receiver()

    async def elsewhere(_request):
        raise web.HTTPTemporaryRedirect(other.url())

    receiver = await make_receiver(elsewhere)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    row = await settled(stage, endpoint)
    assert (row.status, row.attempts[0].status_code) == (DeliveryStatus.FAILED, 307)
    assert other.heard == []


async def test_a_timeout_is_a_failure(make_stage, make_receiver):
    stage = await make_stage(schedule=(0,), timeout_s=0.2)
    released = asyncio.Event()

    async def hang(_request):
        await released.wait()
        return web.Response()

    receiver = await make_receiver(hang)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    row = await settled(stage, endpoint)
    released.set()
    assert (row.status, row.attempts[0].error) == (DeliveryStatus.FAILED, AttemptError.TIMEOUT)
    assert 190 <= row.attempts[0].duration_ms < 1500


async def test_retry_after_is_waited_for(make_stage, make_receiver):
    stage = await make_stage(schedule=(0, 0.01))

    async def later(_request):
        return web.Response(status=503, headers={"Retry-After": "60"}, text="come back")

    receiver = await make_receiver(later)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    row = await eventually(lambda: attempted(stage, endpoint))
    assert row.status is DeliveryStatus.PENDING
    assert 55 <= (row.next_attempt_at - now()).total_seconds() <= 61
    assert row.attempts[0].response == "come back"


async def attempted(stage, endpoint):
    row = await stage.only(endpoint)
    return row if row.attempts else None


async def test_a_replayed_event_makes_one_row_and_one_post(stage, receiver):
    endpoint = await stage.endpoint(receiver.url())
    upload = an_upload()
    await asyncio.gather(*(stage.fan_out(upload) for _ in range(5)))
    await stage.fan_out.many([upload, upload])
    await settled(stage, endpoint)
    await stage.fan_out(upload)
    assert len(await stage.rows(endpoint)) == 1
    assert len(receiver.heard) == 1
    assert stage.slots.free == 128


async def test_only_subscribed_enabled_endpoints_of_the_same_tenant_hear(stage, receiver):
    await stage.endpoint(receiver.url("/all"))
    await stage.endpoint(receiver.url("/uploads"), ["recording.uploaded"])
    await stage.endpoint(receiver.url("/completions"), ["transcription.completed"])
    await stage.endpoint(receiver.url("/off"), status=EndpointStatus.DISABLED)
    await stage.endpoint(receiver.url("/test"), mode=Mode.TEST)
    await stage.endpoint(receiver.url("/other"), project_id="proj_2")
    await stage.fan_out.many([an_upload(), a_creation()])
    heard = await receiver.received(3)
    assert sorted(one.path for one in heard) == ["/all", "/all", "/uploads"]


async def test_an_internal_event_is_for_nobody(stage, receiver):
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(upload_claimed(a_recording()))
    assert await stage.rows(endpoint) == []


async def test_an_endpoint_hears_nothing_that_happened_long_before_it_was_made(stage, receiver):
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload(updated_at=now() - timedelta(hours=1)))
    assert await stage.rows(endpoint) == []


async def test_a_completed_transcription_carries_its_text(stage, receiver):
    await stage.endpoint(receiver.url())
    transcription = a_transcription()
    await stage.transcripts.put(transcription, a_transcript())
    await stage.fan_out(a_completion(transcription))
    (heard,) = await receiver.received(1)
    data = heard.json["data"]
    assert data["text"] == data["full_text"] == "word0 word1 word2"
    assert [word["word"] for word in data["segments"][0]["words"]] == ["word0", "word1", "word2"]
    assert data["segments"][0]["speaker"] == "SPEAKER_0"


async def test_deleting_a_recording_erases_its_text_from_deliveries(stage, make_receiver):
    receiver = await make_receiver(500, 200)
    waiting, done = await stage.endpoint(receiver.url("/w")), await stage.endpoint(receiver.url("/d"))
    transcription = a_transcription()
    await stage.transcripts.put(transcription, a_transcript())
    await stage.fan_out(a_completion(transcription))
    await eventually(lambda: attempted(stage, waiting))
    await eventually(lambda: attempted(stage, done))
    gone = recording_event(RecordingDeleted, a_recording(id=transcription.recording_id))
    await stage.fan_out(gone)
    await receiver.received(4)
    for endpoint in (waiting, done):
        told, text = await stage.rows(endpoint)
        assert (told.event_type, text.event_type) == ("recording.deleted", "transcription.completed")
        assert (text.body, text.next_attempt_at) == (b"", None)
        assert b"deleted" in told.body
        with pytest.raises(TransitionRefused):
            await stage.deliveries.replay(TENANT, text.id)
    assert {(await stage.rows(endpoint))[1].status for endpoint in (waiting, done)} == {
        DeliveryStatus.CANCELLED,
        DeliveryStatus.SUCCEEDED,
    }


async def test_a_long_transcript_is_left_out(stage, receiver):
    await stage.endpoint(receiver.url())
    transcription = a_transcription()
    await stage.transcripts.put(transcription, a_transcript(words=5_000))
    await stage.fan_out(a_completion(transcription))
    (heard,) = await receiver.received(1)
    data = heard.json["data"]
    assert data["truncated"] is True
    assert not {"text", "full_text", "segments"} & data.keys()
    assert data["id"] == transcription.id


async def test_a_rotated_secret_signs_beside_the_new_one_until_its_grace_ends(stage, receiver):
    new, old = new_signing_secret(), new_signing_secret()
    at = now()
    rotated = (
        EndpointSecret(value=new, created_at=at),
        EndpointSecret(value=old, created_at=at, expires_at=at + timedelta(hours=1)),
        EndpointSecret(value=new_signing_secret(), created_at=at, expires_at=at - timedelta(seconds=1)),
    )
    await stage.endpoint(receiver.url(), secrets=rotated)
    await stage.fan_out(an_upload())
    (heard,) = await receiver.received(1)
    assert heard.header("X-Bota-Signature") == platform_signature(new, heard)
    assert heard.header("webhook-signature") == f"{standard_signature(new, heard)} {standard_signature(old, heard)}"


async def test_deleting_an_endpoint_cancels_what_waits(make_stage, make_receiver):
    stage = await make_stage(schedule=(0, 0.05, 60))
    receiver = await make_receiver(default=500)
    deleted = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    await eventually(lambda: attempted(stage, deleted))
    await stage.endpoints.remove(TENANT, deleted.id)
    stage.run()
    assert (await settled(stage, deleted)).status is DeliveryStatus.CANCELLED
    assert len(receiver.heard) == 1


async def test_an_ended_delivery_can_be_replayed_and_a_pending_one_cannot(stage, make_receiver):
    receiver = await make_receiver(410)
    endpoint = await stage.endpoint(receiver.url())
    await stage.fan_out(an_upload())
    failed = await settled(stage, endpoint)
    await eventually(lambda: disabled(stage, endpoint))
    present = await stage.present(endpoint)
    await stage.endpoints.save(present, present.enabled())
    assert await stage.deliveries.replay(Tenant("proj_2"), failed.id) is None
    assert (await stage.deliveries.replay(TENANT, failed.id)).status is DeliveryStatus.PENDING
    with pytest.raises(TransitionRefused):
        await stage.deliveries.replay(TENANT, failed.id)
    stage.run()
    first, second = await receiver.received(2)
    assert second.body == first.body
    row = await settled(stage, endpoint)
    assert (row.status, row.tries, row.attempts_made) == (DeliveryStatus.SUCCEEDED, 1, 2)
    assert [attempt.manual for attempt in row.attempts] == [False, True]
