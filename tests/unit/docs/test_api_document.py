"""docs/api.md has every route that is served, with an example, and every error code."""

import re

from services.ingest import problems
from services.ingest.http import UseCases, http_app
from tests.unit.docs.markdown import ROOT, rows_under, section_of

DOCUMENT = ROOT / "docs/api.md"
ALIAS = "/v1/webhooks"


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


def test_the_table_of_error_codes_is_that_of_the_code():
    known = {*problems._STATUSES.values(), *problems._FRAMEWORK_CODES.items()}
    known |= {(409, "conflict"), (500, "internal_error"), (503, "service_unavailable")}
    assert rows_under(DOCUMENT, "Error codes") == sorted((str(status), f"`{code}`") for status, code in known)
