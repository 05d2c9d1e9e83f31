"""docs/api.md has every route that is served, with an example, and every error code."""

import json
import re

import jsonschema_rs
import pytest

from services.ingest import problems
from services.ingest.http import UseCases, http_app
from tests.conformance import document, operation_of
from tests.unit.docs.markdown import ROOT, rows_under, section_of

DOCUMENT = ROOT / "docs/api.md"
ALIAS = "/v1/webhooks"
SAID_ELSEWHERE = {
    "POST /v1/transcriptions": "POST /v1/recordings/{recording_id}/transcribe",
    "POST /v1/uploads/{upload_id}/complete": "POST /v1/recordings/{recording_id}/upload-complete",
}
SENT = re.compile(r"""-d (?:'(\{[^']*)'|"(\{(?:[^"\\]|\\.)*)")""")
FILLED_IN = re.compile(r"\$\([^)]*\)|\$[A-Z_]+")


def served():
    app = http_app(UseCases(**dict.fromkeys(UseCases.__struct_fields__)))
    routes = [(route.path_format, method) for route in app.routes for one in route.route_handlers for method in one.http_methods]
    return {f"{method} {path}" for path, method in routes if method != "OPTIONS" and not path.startswith(ALIAS)}


def documented():
    return re.findall(r"^### ((?:GET|PUT|POST|PATCH|DELETE) /.*)$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_route_is_documented_and_nothing_else():
    assert sorted(documented()) == sorted(served())


def test_every_route_has_an_example_that_names_it():
    for heading in documented():
        path = re.sub(r"\{[a-z_]+\}", "[^/ ]+", heading.split()[1])
        method = heading.split()[0]
        example = section_of(DOCUMENT, heading)
        assert "```sh" in example, heading
        assert re.search(path.replace("chunks/[^/ ]+", ""), example) or "$TEMPLATE" in example, heading
        assert method not in ("PUT", "DELETE") or f"-X {method}" in example or "-T " in example, heading


def sent_in_examples():
    """Return each documented request with a body: its heading, and the body with ids in place of the shell's variables."""
    examples = [(heading, example) for heading in documented() for example in SENT.finditer(section_of(DOCUMENT, heading))]
    return [(heading, FILLED_IN.sub("a" * 64, example[1] or example[2].replace('\\"', '"'))) for heading, example in examples]


@pytest.mark.parametrize(("heading", "body"), sent_in_examples())
def test_what_an_example_sends_is_what_its_operation_takes(heading, body):
    operation = operation_of(*heading.split())
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema_rs.Draft202012Validator({"allOf": [schema], "components": document()["components"]})
    assert [fault.message for fault in validator.iter_errors(json.loads(body))] == []


def fields_of(schema):
    """Return the names of an object's fields, those of the parts that it is made of among them."""
    schema = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    parts = [part for kind in ("allOf", "anyOf", "oneOf") for part in schema.get(kind, [])]
    return set(schema.get("properties", ())).union(*map(fields_of, parts))


def test_every_field_that_a_body_may_have_is_told_where_its_route_is():
    untold = {}
    for heading in documented():
        content = operation_of(*heading.split()).get("requestBody", {}).get("content", {})
        text = section_of(DOCUMENT, heading) + section_of(DOCUMENT, SAID_ELSEWHERE.get(heading, heading))
        fields = fields_of(content.get("application/json", {}).get("schema", {}))
        untold[heading] = {name for name in fields if not re.search(rf"\b{name}\b", text)}
    assert {heading: names for heading, names in untold.items() if names} == {}


def test_the_table_of_error_codes_is_that_of_the_code():
    known = {*problems._STATUSES.values(), *problems._FRAMEWORK_CODES.items()}
    assert rows_under(DOCUMENT, "Error codes") == sorted((str(status), f"`{code}`") for status, code in known)
