"""Recordings: created with what was said, read back the same, listed newest first."""

import pytest

from shared.domain.ids import new_id


async def test_a_new_recording_is_the_whole_object_with_defaults(api):
    recording = await api.recording(name="Interview", source="api_upload", upload_method="import")
    assert recording["id"].startswith("rec_")
    assert len(recording["id"]) == 30
    assert recording["status"] == "pending"
    assert recording["media"] == []
    assert recording["metadata"] == {}
    assert recording["project_id"] == api.project_id
    for name in ("duration_ms", "transcription_id", "device_id", "stitching", "error", "content_sha256", "deleted_at"):
        assert recording[name] is None
    assert "chunk_upload_url_template" not in recording
    assert await api.ok("GET", f"/recordings/{recording['id']}") == recording


async def test_creation_answers_201_and_queues_its_event(api):
    response = await api.call("POST", "/recordings", {"end_user_id": await api.someone()})
    assert response.status_code == 201
    recording_id = response.json()["id"]
    assert api.events(recording_id) == ["recording.created"]
    assert [(outbox, aggregate) for outbox, aggregate, _ in api.stores.relay.nudged] == [("recordings", recording_id)]


async def test_a_streaming_recording_comes_with_a_place_for_its_chunks(api):
    recording = await api.recording(streaming=True)
    assert recording["status"] == "streaming"
    template = recording["chunk_upload_url_template"]
    assert template.startswith(f"http://api.test/v1/recordings/{recording['id']}/chunks/{{chunk_number}}?")
    assert template.format(chunk_number=7).count("/chunks/7?") == 1
    assert recording["chunk_upload_expires_at"].endswith("Z")
    shown = await api.ok("GET", f"/recordings/{recording['id']}")
    assert "chunk_upload_url_template" not in shown


async def test_times_of_any_offset_are_shown_in_utc(api):
    recording = await api.recording(started_at="2025-01-15T12:00:00.123456+02:00", ended_at="2025-01-15T10:30:00Z")
    assert (recording["started_at"], recording["ended_at"]) == ("2025-01-15T10:00:00.123Z", "2025-01-15T10:30:00.000Z")


async def test_an_id_of_one_kind_does_not_stand_for_another_however_well_known_it_is(api):
    device = await api.bound_device(someone := await api.someone())
    for body in ({"end_user_id": someone, "device_id": device["id"]}, {"device_id": device["id"]}):
        await api.ok("POST", "/recordings", body)
    for body, param in (
        ({"end_user_id": someone, "device_id": someone}, "device_id"),
        ({"end_user_id": device["id"]}, "end_user_id"),
    ):
        status, code, error = await api.refused("POST", "/recordings", body)
        assert (status, code, error["param"]) == (404, "not_found", param)


@pytest.mark.parametrize(
    "metadata",
    [{"a.b": {"c": [1, 2.5, None, True, "ü😀"]}}, {"": 0}, {"_id": "x", "id": 1}, {"n": 2**63 - 1}, {"n": -1e18}, {"e": {}}],
)
async def test_metadata_comes_back_as_it_was(api, metadata):
    recording = await api.recording(metadata=metadata)
    assert (await api.ok("GET", f"/recordings/{recording['id']}"))["metadata"] == metadata


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"$set": 1}, "begin with $"),
        ({"a": [{"$ref": 1}]}, "begin with $"),
        ({"a": 2**63}, "64 bits"),
        ({"a": [2.0**63]}, "64 bits"),
        ({"a": {"b": -1e300}}, "64 bits"),
        ({"a": "x" * 17_000}, "16384 bytes"),
        ({"1": {"2": {"3": {"4": {"5": {"6": {"7": {"8": {}}}}}}}}}, "8 levels"),
    ],
)
async def test_metadata_that_cannot_be_kept_is_refused_with_the_reason(api, metadata, says):
    status, code, error = await api.refused("POST", "/recordings", {"end_user_id": await api.someone(), "metadata": metadata})
    assert (status, code, error["param"]) == (400, "invalid_request", "metadata")
    assert says in error["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("end_user_id", None),
        ("end_user_id", 5),
        ("end_user_id", ""),
        ("name", "x" * 256),
        ("name", ["a"]),
        ("streaming", "true"),
        ("source", "telepathy"),
        ("metadata", []),
        ("metadata", "text"),
        ("started_at", "2025-01-15T10:00:00"),
        ("started_at", "yesterday"),
        ("started_at", "0001-01-01T00:00:00+14:00"),
        ("started_at", 1_700_000_000),
        ("recording_generation", 0),
        ("recording_generation", 2**64),
    ],
)
async def test_a_wrong_field_is_refused_by_name(api, field, value):
    status, code, error = await api.refused("POST", "/recordings", {"end_user_id": await api.someone(), field: value})
    assert (status, code, error["param"]) == (400, "invalid_request", field)


async def test_unknown_fields_are_passed_over(api):
    recording = await api.recording(colour="blue", status="completed", id="rec_mine")
    assert recording["status"] == "pending"
    assert recording["id"] != "rec_mine"
    assert "colour" not in recording


async def test_what_does_not_exist_is_not_found(api):
    status, code, _ = await api.refused("GET", f"/recordings/{new_id('rec')}")
    assert (status, code) == (404, "not_found")


async def make(api, count, **fields):
    return [(await api.recording(**fields))["id"] for _ in range(count)]


async def ids(api, query):
    page = await api.ok("GET", f"/recordings{query}")
    return [item["id"] for item in page["data"]], page


async def test_a_list_is_newest_first_and_ends_without_a_cursor(api):
    made = await make(api, 3)
    found, page = await ids(api, "")
    assert found == sorted(made, reverse=True)
    assert (page["has_more"], page["next_cursor"]) == (False, None)


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 100])
async def test_cursors_walk_the_whole_list_once(api, limit):
    made = await make(api, 6)
    found, query = [], f"?limit={limit}"
    while True:
        part, page = await ids(api, query)
        assert len(part) <= limit
        found += part
        assert page["has_more"] is (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        query = f"?limit={limit}&cursor={page['next_cursor']}"
    assert found == sorted(made, reverse=True)


async def test_rows_that_come_while_paging_by_cursor_shift_nothing(api):
    made = await make(api, 4)
    first, page = await ids(api, "?limit=2")
    await make(api, 3)
    second, _ = await ids(api, f"?limit=2&cursor={page['next_cursor']}")
    assert first + second == sorted(made, reverse=True)


async def test_offset_pages_too_and_wins_over_a_cursor(api):
    made = sorted(await make(api, 5), reverse=True)
    _, page = await ids(api, "?limit=1")
    assert (await ids(api, "?limit=2&offset=2"))[0] == made[2:4]
    assert (await ids(api, f"?limit=2&offset=0&cursor={page['next_cursor']}"))[0] == made[:2]
    assert (await ids(api, "?limit=2&offset=4"))[1]["has_more"] is False


async def test_filters_narrow_the_list(api):
    other, device = await api.new_end_user(), await api.new_device()
    await make(api, 1, end_user_id=other, device_id=device)
    streaming = await make(api, 1, streaming=True)
    assert (await ids(api, "?status=streaming"))[0] == streaming
    assert len((await ids(api, f"?end_user_id={other}"))[0]) == 1
    assert len((await ids(api, f"?device_id={device}&end_user_id={other}&status=pending"))[0]) == 1
    assert (await ids(api, "?device_id=dev_none"))[0] == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("?limit=0", "limit"),
        ("?limit=101", "limit"),
        ("?limit=many", "limit"),
        ("?offset=-1", "offset"),
        ("?offset=99999999999999999999", "offset"),
        ("?cursor=made-up", "cursor"),
        ("?cursor=%00", "cursor"),
        ("?status=flying", "status"),
    ],
)
async def test_a_wrong_parameter_is_refused_by_name(api, query, param):
    status, code, error = await api.refused("GET", f"/recordings{query}")
    assert (status, code, error["param"]) == (400, "invalid_request", param)


async def test_a_cursor_of_another_project_is_refused(api):
    await make(api, 2)
    _, page = await ids(api, "?limit=1")
    organization = await api.admin("POST", "/organizations", {"name": "Other"})
    other = await api.new_key(await api.new_project(organization["id"]))
    status, _, error = await api.refused("GET", f"/recordings?cursor={page['next_cursor']}", secret=other)
    assert (status, error["param"]) == (400, "cursor")


async def test_a_get_with_a_json_content_type_and_no_body_is_fine(api):
    assert (await api.call("GET", "/recordings", headers={"Content-Type": "application/json"})).status_code == 200


async def test_a_list_shows_each_recording_as_it_stands_however_often_it_was_listed(api):
    first, second = await api.recording(), await api.recording()
    for _ in range(2):
        assert (await api.ok("GET", "/recordings"))["data"] == [second, first]
    await api.ok("POST", f"/recordings/{first['id']}/upload-url", {"content_type": "audio/ogg"})
    changed = await api.ok("GET", f"/recordings/{first['id']}")
    assert changed != first
    assert (await api.ok("GET", "/recordings"))["data"] == [second, changed]
    await api.call("DELETE", f"/recordings/{second['id']}")
    assert (await api.ok("GET", "/recordings"))["data"] == [changed]
