"""A device that repeats the creation of a recording gets the one it has (contract 5, 6.1)."""

import asyncio

PAIR = {"recording_uuid": "0f8fad5b-d9cb-469f-a165-70867728950e", "recording_generation": 1}


async def created(api, secret=None, **fields):
    response = await api.call("POST", "/recordings", {"end_user_id": await api.someone(), **fields}, secret=secret)
    assert response.status_code == 201, response.text
    return response.json()


async def test_the_same_pair_is_the_same_recording(api):
    first, second = await created(api, **PAIR), await created(api, **PAIR)
    assert second == first
    assert api.events(first["id"]) == ["recording.created"]


async def test_creations_at_the_same_moment_make_one(api):
    await api.someone()
    ids = {recording["id"] for recording in await asyncio.gather(*(created(api, **PAIR) for _ in range(20)))}
    assert len(ids) == 1


async def test_another_generation_or_none_is_another_recording(api):
    one = await created(api, **PAIR)
    two = await created(api, **PAIR | {"recording_generation": 2})
    none = [await created(api, recording_uuid=PAIR["recording_uuid"]) for _ in range(2)]
    assert len({one["id"], two["id"], none[0]["id"]}) == 3
    assert none[0] == none[1]


async def test_a_recording_without_a_uuid_is_always_a_new_one(api):
    assert (await created(api))["id"] != (await created(api))["id"]


async def test_what_was_created_first_counts(api):
    first = await created(api, **PAIR, name="First", metadata={"a": 1})
    second = await created(api, **PAIR, name="Second", metadata={"b": 2}, streaming=True)
    assert second == first
    assert "chunk_upload_url_template" not in second


async def test_a_repeat_of_a_streaming_creation_has_a_template_that_works(api):
    await created(api, **PAIR, streaming=True)
    again = await created(api, **PAIR, streaming=True)
    assert (await api.put_chunk(again, 1)).status_code == 200


async def test_what_is_another_end_users_is_not_opened_for_this_one(api):
    first, other = await created(api, **PAIR, streaming=True), await api.new_end_user()
    for path in ("/recordings", "/recordings?way=general"):
        status, code, error = await api.refused("POST", path, {"end_user_id": other, **PAIR})
        assert (status, code, error["param"]) == (409, "resource_already_exists", "recording_uuid")
    assert (await created(api, **PAIR))["id"] == first["id"]


async def test_two_devices_may_use_the_same_uuid(api):
    ids = {(await created(api, **PAIR, device_id=await api.new_device()))["id"] for _ in range(2)}
    assert len(ids) == 2


async def test_another_mode_may_use_the_same_uuid(api):
    test_key = await api.new_key(api.project_id, mode="test")
    user = (await api.ok("POST", "/end-users", {}, secret=test_key))["id"]
    assert (await created(api, **PAIR))["id"] != (await created(api, test_key, **PAIR, end_user_id=user))["id"]


async def test_a_deleted_recording_does_not_stand_in_the_way(api):
    first = await created(api, **PAIR)
    assert (await api.call("DELETE", f"/recordings/{first['id']}")).status_code == 204
    assert (await created(api, **PAIR))["id"] != first["id"]
