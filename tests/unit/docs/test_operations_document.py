"""docs/operations.md names every setting, metric, log line and dead-letter header, as the code has them."""

import ast
import os
import re
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from prometheus_client import Counter, Gauge, Histogram

from services.ingest.settings import ApiSettings, IngestSettings
from services.stitcher.settings import StitcherSettings, StitchSettings
from services.transcriber.cloud_settings import CloudSettings
from services.transcriber.settings import SpeechSettings, TranscriberSettings
from services.webhooks.settings import Settings as WebhooksSettings
from services.webhooks.settings import WebhookSettings
from shared.domain.provider_key import ON_THE_NETWORK
from shared.messaging.dead_letter import headers_of
from shared.settings import (
    HttpSettings,
    KafkaSettings,
    MongoSettings,
    RuntimeSettings,
    S3Settings,
    SealingSettings,
    expected_form,
)
from shared.telemetry import metrics
from shared.telemetry.timings import Timings
from tests.unit.docs.markdown import NOTHING, ROOT, rows_under, section_of

DOCUMENT = ROOT / "docs/operations.md"
TABLES = {
    "Every service": (MongoSettings, KafkaSettings, HttpSettings, RuntimeSettings),
    "Object store": (S3Settings,),
    "Sealed secrets": (SealingSettings,),
    "ingest": (ApiSettings,),
    "stitcher": (StitchSettings,),
    "transcriber": (SpeechSettings, CloudSettings),
    "webhooks": (WebhookSettings,),
}
TEST_SETTINGS = {
    f"EARWITNESS_TESTS_{name}" for name in ("SERVERS", "BROKER", "S3", "EXAMPLES", "KAFKA_IMAGE", "MONGO_IMAGE", "MINIO_IMAGE")
}
LIVE_KEYS = {f"EARWITNESS_TESTS_{name.upper()}_{what}" for name in ON_THE_NETWORK for what in ("KEY", "URL")}
LIVE_KEYS.add("EARWITNESS_TESTS_CONVERSATION_URL")
PER_CORE = {"stitch_slots", "transcribe_slots"}
LOGGED = re.compile(r"^(debug|info|warning|error|exception)$")


@pytest.mark.parametrize("heading", TABLES)
def test_a_settings_table_is_that_of_the_code(heading):
    fields = [field for form in TABLES[heading] for field in msgspec.structs.fields(form)]
    written = [row[:3] for row in rows_under(DOCUMENT, heading)]
    assert written == [(f"`EARWITNESS_{field.name.upper()}`", form_of(field), default_of(field)) for field in fields]


@pytest.mark.parametrize("settings", [IngestSettings, StitcherSettings, TranscriberSettings, WebhooksSettings])
def test_every_setting_of_a_service_stands_in_some_table(settings):
    tables = {form for forms in TABLES.values() for form in forms}
    assert {field.type for field in msgspec.structs.fields(settings)} <= tables


def test_the_metrics_table_is_that_of_the_code():
    kinds = {Counter: "counter", Gauge: "gauge", Histogram: "histogram", Timings: "histogram"}
    known = [metric for metric in vars(metrics).values() if type(metric) in kinds]
    expected = [
        (
            f"`{metric._name}{'_total' if type(metric) is Counter else ''}`",
            kinds[type(metric)],
            ", ".join(f"`{label}`" for label in metric._labelnames) or NOTHING,
        )
        for metric in known
    ]
    assert [row[:3] for row in rows_under(DOCUMENT, "Metrics")] == expected


def test_the_metrics_table_names_every_queue():
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("services/*/app.py"))
    depth = next(row for row in rows_under(DOCUMENT, "Metrics") if row[0] == "`earwitness_queue_depth`")
    named = set(re.findall("`([a-z_]+)`", depth[3]))
    assert named == set(re.findall(r'register_queue\("(\w+)"', code))
    assert len(named) == code.count("register_queue(")


def test_the_metrics_table_says_which_metrics_nobody_counts_yet():
    code = "".join(path.read_text(encoding="utf-8") for path in [*ROOT.glob("s*/**/*.py")] if path.name != "metrics.py")
    rows = [row for row in rows_under(DOCUMENT, "Metrics") if not row[0].startswith("`earwitness_queue_")]
    uncounted = [row[0] for row in rows if not re.search(rf"\b{name_in_code(row[0])}\.(labels|observe|inc|set)\b", code)]
    assert [row[0] for row in rows if "not counted yet" in row[3]] == uncounted


def test_every_log_line_stands_in_the_table():
    written = {row[0].strip("`") for row in rows_under(DOCUMENT, "Logs")}
    assert written == {*logged("shared"), *logged("services"), "stitch.done", "transcribe.done"}


def test_every_header_of_a_dead_letter_stands_in_the_table():
    record = SimpleNamespace(headers=(), topic="t", partition=0, offset=0)
    known = {*headers_of(record, ValueError("why"), 1, "stitcher"), "x-value"}
    assert set(re.findall(r"`(x-[a-z-]+)`", "".join(row[0] for row in rows_under(DOCUMENT, "Dead letters")))) == known


def test_every_setting_that_a_document_names_exists():
    fields = [field for forms in TABLES.values() for form in forms for field in msgspec.structs.fields(form)]
    known = {f"EARWITNESS_{field.name.upper()}" for field in fields} | {"EARWITNESS_X", *TEST_SETTINGS, *LIVE_KEYS}
    texts = [path.read_text(encoding="utf-8") for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))]
    named = {name for text in texts for name in re.findall(r"EARWITNESS_[A-Z0-9_]*[A-Z0-9]", text)}
    assert {name if name in known else name.removesuffix("_FILE") for name in named} <= known


def test_the_sections_that_others_point_to_are_there():
    assert all(section_of(DOCUMENT, heading) for heading in ("Sizing", "Dead letters", "Alerts", "The model"))


def name_in_code(cell):
    return cell.strip("`").removeprefix("earwitness_")


def form_of(field):
    return expected_form(field.type)


def default_of(field):
    if field.name in PER_CORE:
        assert field.default == (os.cpu_count() or 1)
        return "number of cores"
    if field.required:
        return "required"
    if field.default is None:
        return NOTHING
    return f"`{in_words(field.default)}`"


def in_words(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(in_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def logged(folder):
    """Every event that a logger of ours is given, by reading the code; a wide event ends in `.done`."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if "get_logger" in path.read_text(encoding="utf-8"):
            yield from events_in(path, tree)


def events_in(path: Path, tree: ast.AST):
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        named = next((argument.value for argument in call.args if is_event(argument)), None)
        function = call.func
        if named and isinstance(function, ast.Name) and function.id == "wide_event":
            yield f"{named}.done"
        elif isinstance(function, ast.Name) and function.id == "write" and named:
            yield named
        elif isinstance(function, ast.Attribute) and LOGGED.match(function.attr) and getattr(function.value, "id", "") == "log":
            alternatives = [node.value for argument in call.args[:1] for node in ast.walk(argument) if is_event(node)]
            assert alternatives, f"{path}:{call.lineno} logs an event this test cannot read"
            yield from alternatives


def is_event(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
