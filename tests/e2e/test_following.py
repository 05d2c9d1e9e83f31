"""A customer that follows a recording live and looks after its webhooks, on the whole platform."""

import asyncio
import json

import aiohttp
import standardwebhooks

from tests.e2e.audio import tone
from tests.e2e.watching import Listener
from tests.fakes.webhook_receiver import eventually

SOON_S = 60.0
STORY = ["recording.created", "recording.uploaded", "recording.stitched"]


async def heard_live(stack, project, recording_id, count, since=None):
    """Return the first events of a recording's stream as (id, type)."""
    url = f"{stack.api_url}/v1/recordings/{recording_id}/events"
    headers = {**project.client._headers, **({"Last-Event-ID": since} if since else {})}
    found, fields = [], {}
    async with asyncio.timeout(SOON_S), aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        async for raw in answer.content:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            fields[name] = value
            if not name and "id" in fields:
                assert json.loads(fields["data"])["id"] == fields["id"]
                found.append((fields["id"], fields["event"]))
                fields = {}
            if len(found) == count:
                return found
    return found


async def test_a_recording_is_followed_live_and_from_any_event_on(project, stack, receiver):
    listener = await Listener.at(receiver, project)
    recording = await project.open(streaming=False)
    following = asyncio.create_task(heard_live(stack, project, recording["id"], 3))
    data = tone(7)
    await project.put_file(recording["id"], data, file_size_bytes=len(data), content_type="audio/ogg")
    assert (await project.complete(recording["id"])).status == 200
    told = await following
    assert [kind for _, kind in told] == STORY
    assert await heard_live(stack, project, recording["id"], 2, told[0][0]) == told[1:]
    assert await heard_live(stack, project, recording["id"], 1, told[1][0]) == told[2:]
    await listener.hears(recording["id"], *STORY)
    assert {event_id for event_id, _ in told} <= {heard.json["id"] for heard in receiver.heard}


async def test_every_step_of_a_streamed_recording_is_told_to_its_transcript(project, stack):
    recording = await project.open()
    following = asyncio.create_task(heard_live(stack, project, recording["id"], 6))
    await project.put_chunks(recording, {1: tone(1), 2: tone(2)})
    assert (await project.finalize(recording["id"], 2)).status == 200
    told = [kind for _, kind in await following]
    assert told == [*STORY, "transcription.queued", "transcription.started", "transcription.completed"]


async def test_an_owner_tests_rotates_reads_and_replays(project, receiver):
    endpoint = await project.endpoint(receiver.url(), "recording.created")
    path = f"/v1/webhook-endpoints/{endpoint['id']}"
    tested = await project.client.post(f"{path}/test", {})
    assert (tested["status"], tested["test"], tested["last_attempt"]["status_code"]) == ("succeeded", True, 200)
    rotated = await project.client.post(f"{path}/rotate-secret", {})
    await project.open()
    heard = (await receiver.received(2))[-1]
    for secret in (endpoint["secret"], rotated["secret"]):
        standardwebhooks.Webhook(secret).verify(heard.body, dict(heard.headers))

    async def listed():
        page = await project.client.get(f"{path}/deliveries?status=succeeded&event_type=recording.created")
        return [line for line in page["data"] if not line["test"]]

    (line,) = await eventually(listed)
    delivery = await project.client.get(f"/v1/webhook-deliveries/{line['id']}")
    assert delivery["body"].encode() == heard.body
    await project.client.post(f"/v1/webhook-deliveries/{line['id']}/replay", {}, expect=202)
    again = (await receiver.received(3))[-1]
    assert (again.body, again.header("webhook-id")) == (heard.body, heard.header("webhook-id"))
    standardwebhooks.Webhook(rotated["secret"]).verify(again.body, dict(again.headers))
