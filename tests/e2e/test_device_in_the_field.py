"""A device with nothing but its token, from its first recording to the deletion of the person whom it records."""

from typing import Any, NamedTuple

import pytest

from deploy.local.demo.speech import chunked
from tests.e2e.client import Client, Project
from tests.e2e.watching import Listener, completed, until


class Bound(NamedTuple):
    """A device bound to an end user, as its project sees it, and what it does itself."""

    seen: dict[str, Any]
    own: Project


@pytest.fixture
async def device(project, stack, http) -> Bound:
    """A new device of a new end user."""
    someone = await project.client.post("/v1/end-users", {"external_id": "crm-1", "name": "Ada"}, expect=201)
    device = await project.client.post("/v1/devices", {"serial_number": "SN-1"}, expect=201)
    seen = await project.client.post(f"/v1/devices/{device['id']}/bind", {"end_user_id": someone["id"]})
    return Bound(seen, Project(Client(http, stack.api_url, seen["device_token"]), project.id))


async def recorded_on_command(project, device, samples):
    """Let the device record as it is told to, by its token alone; return the recording."""
    seen, own = device
    command = await project.client.post(f"/v1/devices/{seen['id']}/commands", {"type": "start_recording"}, expect=201)
    heard = await own.client.post("/v1/devices/me/heartbeat", {"battery_percent": 90})
    assert [one["id"] for one in heard["commands"]] == [command["id"]]
    recording = await own.client.post("/v1/recordings", {"streaming": True, "end_user_id": "eu_somebodyelse"}, expect=201)
    result = {"command_id": command["id"], "status": "executed", "result": {"recording_id": recording["id"]}}
    await own.client.post("/v1/devices/me/heartbeat", {"device_state": "recording", "command_results": [result]})
    state = (await project.client.get(f"/v1/devices/{seen['id']}/state"))["recording"]
    assert (state["active"], state["recording_id"], state["initiated_by"]) == (True, recording["id"], "command")
    chunks = list(chunked(samples, 3))
    await own.put_chunks(recording, dict(enumerate(chunks, 1)))
    assert (await own.finalize(recording["id"], len(chunks))).status == 200
    return recording


async def test_a_device_records_with_its_token_and_nothing_is_left_once_its_end_user_is_deleted(
    project, device, receiver, evidence, sentence
):
    listener = await Listener.at(receiver, project)
    recording = await recorded_on_command(project, device, sentence[0])
    assert (await device.own.client.call("GET", f"/v1/recordings/{recording['id']}")).code == "forbidden"
    done = await completed(project, recording["id"])
    await listener.hears(recording["id"], "recording.created")
    told = listener.event(recording["id"], "recording.created")["data"]
    owners = (device.seen["id"], device.seen["end_user_id"])
    assert [(one["device_id"], one["end_user_id"]) for one in (recording, done, told)] == [owners] * 3

    assert (await project.client.call("DELETE", f"/v1/end-users/{device.seen['end_user_id']}")).status == 204
    assert (await device.own.client.call("POST", "/v1/devices/me/heartbeat", {})).code == "unauthorized"
    await listener.hears(recording["id"], "recording.deleted")
    await until(lambda: evidence.keys(project.id, recording["id"]) == [])
    await until(lambda: evidence.texts_of(recording["id"], done["transcription_id"]) == [])
    assert (await project.client.call("GET", f"/v1/recordings/{recording['id']}")).code == "not_found"
    again = await project.client.post("/v1/end-users", {"external_id": "crm-1"}, expect=201)
    assert again["id"] != device.seen["end_user_id"]
