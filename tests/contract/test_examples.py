"""Which examples of the contract are played, and why any is not: no section is passed over in silence."""

import pytest

from tests.replaying import FILES, examples_of

PLAYED = {example["section"]: set() for name in FILES for example in examples_of(name)}
for _name in FILES:
    for _example in examples_of(_name):
        PLAYED[_example["section"]].add(_example["generation"])

_SHOWN = (
    "0.3 0.4 0.5 1.1 1.2 1.3 1.4 2.1 2.2 3 4 5 6.0 6.1 6.2 6.3 6.4 6.5 6.6 6.7 6.8 6.9 7.1 7.2 7.3 7.4 7.5 8",
    "9.1 9.2 9.3 9.4 9.5 9.6 12.1 12.2 12.3 12.4 12.5 13.1 13.2 14 16.1 16.2 16.3",
)
SECTIONS = [section for line in _SHOWN for section in line.split()]
"""Of the parts that speak of calls: sections 0 to 9, 12 to 14 and 16."""

NOT_PLAYED = {
    "0.4": "forms of ids: every id in every answer of the test run is held to its form (`conformance`, `test_openapi`)",
    "0.5": "what belongs to what; shows no call",
    "6.8": "search is not built (A24)",
    "6.9": "says that recordings are not changed: there is no such route",
    "7.3": "the order of events needs all four services: `e2e/test_main_job`",
    "8": "a list of types: each is uploaded in `component/ingest/test_kinds_of_media`",
    "12.4": "how a webhook is signed: verified by a receiver in `integration/webhooks` and `unit/webhooks`",
    "12.5": "when a webhook is sent again: `unit/webhooks/test_webhook_schedule`, `integration/webhooks`",
}

PARTS_NOT_PLAYED = {
    ("1.1", "a key of one end user"): "its form is printed nowhere; it belongs to search and ask (A24)",
    ("2.1", "an error as text or without the envelope"): "what clients tolerate; A4 has one form",
    ("2.2", "encrypted_upload_v2_staging_missing"): "encrypted upload v2 is not built (A24)",
    ("2.2", "rate_limit_exceeded"): "a hundred requests make no example: `component/ingest/test_rate_limits`",
    ("5", "POST /summaries"): "summaries are not built (A24)",
    (
        "6.0",
        "size and type at the top level, first generation",
    ): "shown beside `media`: `contract/test_http_shapes`",
    ("6.5", "425 while a large file is hashed"): "an example is small: `component/ingest/test_whole_file_uploads`",
    ("7.5", "encrypted chunks"): "encrypted upload v2 is not built (A24); plain ones are played",
    ("9.4", "a job that is replaced when it is started anew"): "A12 decides: older ones stay readable",
    ("12.1", "ids that begin with wh_"): "A19 decides: both routes are one resource, `we_`",
    ("12.1", "endpoints in a dashboard"): "there is none",
    ("12.2", "summary events"): "summaries are not built (A24)",
    ("12.3", "status `created` and consent_obtained of recording.created"): "A21 decides: `data` is the resource, `pending`",
    ("13.1", "device_type and bound_at alone, first generation"): "`model` and `updated_at` won; device_type is taken when sent",
    ("13.2", "settings by routes of their own"): "first generation; replaced by configuration (section 16)",
    ("13.2", "cert and ble_pubkey when bound, OTA, firmware, WiFi grants"): "not built (A24)",
    ("16.1", "the guide's example that contradicts its own rule"): "the rule counts: the strictest of all levels",
    ("16.3", "the ota and recording sections"): "ota is not built (A24); `recording` is in no registry",
    ("16.3", "device settings of the first generation"): "replaced by the sections",
}


def test_every_section_is_played_or_says_why_not():
    assert sorted([*PLAYED, *NOT_PLAYED]) == sorted(SECTIONS)


def test_what_is_left_out_of_a_section_is_left_out_of_one_that_is_played():
    assert {section for section, _ in PARTS_NOT_PLAYED} <= set(PLAYED)


@pytest.mark.parametrize("section", ["3", "5", "6.1", "6.3", "6.4", "6.5", "6.6", "7.2", "9.2", "13.2", "14"])
def test_where_the_generations_differ_both_are_played(section):
    assert PLAYED[section] >= {2, 3}


@pytest.mark.parametrize("name", FILES)
def test_every_example_says_what_it_shows_where_from_and_of_which_generation(name):
    for example in examples_of(name):
        assert example["generation"] in {1, 2, 3}
        assert example["says"]
        assert example["request"].split(" ")[0] in {"GET", "POST", "PUT", "PATCH", "DELETE"}
        assert "answer" in example or "answer_headers" in example or example["status"] in {204, "2xx"}, example["says"]
