"""The description of the API is valid, whole and the same every time."""

import json
import re
from datetime import UTC, datetime

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.ingest.http import UseCases, http_app
from services.ingest.limits import checked_metadata, checked_time
from services.ingest.openapi.document import Document
from services.ingest.openapi.examples import EXAMPLES
from services.ingest.refusals import InvalidRequest
from shared.domain.caller import SCOPES
from shared.events.topics import PUBLIC_EVENT_TYPES
from tests.conformance import document, operations

SCHEMAS = document()["components"]["schemas"]
CHOSEN_BY_CLIENTS = {"external_id", "request_id"}


def each():
    return [pytest.param(operation, path, id=operation["operationId"]) for _, path, operation in operations()]


def test_an_independent_validator_finds_no_fault():
    assert list(OpenAPIV31SpecValidator(json.loads(json.dumps(document()))).iter_errors()) == []


def test_its_bytes_are_the_same_every_time():
    first, second = (Document(http_app(UseCases(**dict.fromkeys(UseCases.__struct_fields__)))).content for _ in range(2))
    assert first == second
    assert json.loads(first) == json.loads(json.dumps(document()))


def test_a_list_tells_how_many_rows_a_page_has_unasked():
    limits = {
        operation["operationId"]: parameter["schema"]["default"]
        for _, _, operation in operations()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "limit"
    }
    assert limits.pop("device_command_list") == 20
    assert set(limits.values()) == {25}


def test_operation_ids_are_unique_and_usable_as_names():
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z][a-z_]+", name) for name in names)


@pytest.mark.parametrize(("operation", "path"), each())
def test_every_operation_is_described_whole(operation, path):
    assert operation["summary"]
    assert operation["description"].endswith((".", "`"))
    assert len(operation["tags"]) == 1
    placed = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
    assert placed == set(re.findall(r"\{(\w+)\}", path))
    assert "500" in operation["responses"]
    for status, response in operation["responses"].items():
        assert response["description"]
        assert "X-Request-Id" in response["headers"]
        assert status == "204" or response["content"]


@pytest.mark.parametrize(("operation", "path"), each())
def test_every_operation_of_a_project_names_its_scope_and_credentials(operation, path):
    by_url = {"signed_url", "callback_token"} & set(operation["x-credentials"])
    if path.startswith("/v1/") and not path.startswith("/v1/admin") and not by_url:
        keys = {"secret_key", "restricted_key"} <= set(operation["x-credentials"])
        assert (operation.get("x-required-scope") in SCOPES) is keys
        assert operation["security"]
        assert {"401", "403"} <= set(operation["responses"])


def test_no_scope_is_without_an_operation():
    assert {operation.get("x-required-scope") for _, _, operation in operations()} - {None} == set(SCOPES)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in SCHEMAS for key in SCHEMAS[name].get("properties", ())])
def test_ids_and_times_in_answers_have_their_exact_form(name, key):
    schema = SCHEMAS[name]["properties"][key]
    alternatives = [schema, *schema.get("anyOf", ())]
    texts = [text for text in alternatives if text.get("type") == "string"]
    if key.endswith("_at"):
        assert all(text.get("format") == "date-time" for text in texts)
    if key == "id" or (key.endswith("_id") and key not in CHOSEN_BY_CLIENTS):
        answered = [text for text in texts if "maxLength" not in text]  # what clients send is bounded, and need not exist
        assert all(text.get("pattern", "").endswith("_[A-Za-z0-9]{1,64}$") for text in answered), f"{name}.{key}: `an_id(…)`"


@pytest.mark.parametrize(
    ("name", "key"),
    [("CreateKey", "expires_at"), ("CreateRecording", "recorded_at"), ("RequestUpload", "captured_at")],
)
def test_a_time_that_is_sent_says_which_years_are_taken(name, key):
    (text,) = [text for text in SCHEMAS[name]["properties"][key]["anyOf"] if text["type"] == "string"]
    for year in range(1, 10_000):
        moment = datetime(year, 6, 1, tzinfo=UTC)
        assert (re.search(text["pattern"], moment.isoformat()) is not None) is _is_taken(moment), year


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "$a", "a$", ""]), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("CreateRecording", "metadata"),
        ("CreateEndUser", "metadata"),
        ("CreateEndpoint", "metadata"),
        ("ChangeDevice", "settings"),
    ],
)
@given(metadata=st.dictionaries(st.sampled_from(["a", "b", "$", "$c"]), JSON_VALUES, max_size=3))
@settings(max_examples=200, deadline=None)
def test_metadata_is_described_as_it_is_taken(name, key, metadata):
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
    faults = list(jsonschema_rs.Draft202012Validator(schema).iter_errors({key: metadata}))
    assert any(fault.instance_path for fault in faults) is not _is_kept(metadata)  # what else it needs is not in here


def _is_kept(metadata):
    try:
        return checked_metadata(metadata) == metadata
    except InvalidRequest:
        return False


def _is_taken(moment):
    try:
        return checked_time(moment, "a time") == moment
    except InvalidRequest:
        return False


@pytest.mark.parametrize("name", [name for name in SCHEMAS if "examples" in SCHEMAS[name]])
def test_every_example_is_an_instance_of_its_schema(name):
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    for example in SCHEMAS[name]["examples"]:
        assert [fault.message for fault in validator.iter_errors(example)] == []
        assert set(example) <= set(SCHEMAS[name].get("properties", example))


def test_no_example_is_of_nothing():
    shown = [json.dumps(example) for schema in SCHEMAS.values() for example in schema.get("examples", ())]
    assert [name for name, example in EXAMPLES.items() if json.dumps(example) not in shown] == []


def test_every_event_that_customers_hear_has_its_webhook():
    assert sorted(document()["webhooks"]) == sorted(PUBLIC_EVENT_TYPES)


def test_whatever_is_done_with_a_new_id_is_linked_from_where_it_is_made():
    targets = {operation["operationId"]: path for _, path, operation in operations()}
    answers = [response for _, _, operation in operations() for response in operation["responses"].values()]
    links = [(name, link) for response in answers for name, link in response.get("links", {}).items()]
    for name, link in links:
        assert name == link["operationId"]
        wanted = re.findall(r"\{(\w+)\}", targets[name])
        assert {each for each in wanted if each.endswith("_id")} <= set(link["parameters"]) <= set(wanted)
        assert "$response.body#/id" in link["parameters"].values()
    takes_an_id = {name for name, path in targets.items() if "_id}" in path}
    assert takes_an_id - {name for name, _ in links} == {"upload_alias_complete"}, (
        "whose id may be that of a recording or of a file"
    )


def test_customers_are_not_told_of_our_sources():
    assert "(contract" not in json.dumps(document())
