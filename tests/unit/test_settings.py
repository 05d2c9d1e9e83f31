"""Settings from the environment: what is accepted, and that everything wrong is reported at once and by name."""

import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from shared.settings import (
    HttpSettings,
    KafkaSettings,
    MongoSettings,
    RuntimeSettings,
    S3Settings,
    SettingsError,
    expected_form,
    load,
)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Everything(msgspec.Struct, frozen=True):
    name: str
    count: Annotated[int, msgspec.Meta(ge=1, le=9)]
    ratio: float
    enabled: bool
    folder: Path
    servers: tuple[str, ...]
    colour: Colour
    mode: Literal["fast", "slow"]
    limit: Annotated[int, msgspec.Meta(gt=0)] | None = None
    note: str | None = None


class Nested(msgspec.Struct, frozen=True):
    mongo: MongoSettings
    kafka: KafkaSettings
    s3: S3Settings
    http: HttpSettings
    runtime: RuntimeSettings


class Paired(msgspec.Struct, frozen=True):
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("EARWITNESS_LOW must not be above EARWITNESS_HIGH")


FULL = {
    "EARWITNESS_NAME": "ada",
    "EARWITNESS_COUNT": "3",
    "EARWITNESS_RATIO": "0.5",
    "EARWITNESS_ENABLED": "yes",
    "EARWITNESS_FOLDER": "/srv/audio",
    "EARWITNESS_SERVERS": "one:9092, two:9092,",
    "EARWITNESS_COLOUR": "red",
    "EARWITNESS_MODE": "fast",
}


def problems_of(settings: type, environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load(settings, environ)
    return caught.value.problems


def test_every_kind_of_value_is_read():
    assert load(Everything, FULL) == Everything(
        name="ada",
        count=3,
        ratio=0.5,
        enabled=True,
        folder=Path("/srv/audio"),
        servers=("one:9092", "two:9092"),
        colour=Colour.RED,
        mode="fast",
    )


@pytest.mark.parametrize(
    ("text", "value"), [("TRUE", True), ("1", True), ("Yes", True), ("false", False), ("0", False), ("no", False)]
)
def test_booleans_are_read_in_every_spelling(text, value):
    assert load(Everything, FULL | {"EARWITNESS_ENABLED": text}).enabled is value


def test_optional_values_are_read_when_given():
    filled = load(Everything, FULL | {"EARWITNESS_LIMIT": "4", "EARWITNESS_NOTE": "null"})
    assert (filled.limit, filled.note) == (4, "null")


def test_nested_concerns_add_nothing_to_the_names():
    filled = load(
        Nested,
        {
            "EARWITNESS_MONGO_URL": "mongodb://127.0.0.1",
            "EARWITNESS_KAFKA_SERVERS": "127.0.0.1:9092",
            "EARWITNESS_S3_ENDPOINT": "http://127.0.0.1:9000",
            "EARWITNESS_S3_ACCESS_KEY": "a",
            "EARWITNESS_S3_SECRET_KEY": "b",
            "EARWITNESS_S3_BUCKET": "audio",
            "EARWITNESS_HTTP_HOST": "127.0.0.1",
            "EARWITNESS_HTTP_PORT": "0",
        },
    )
    assert filled.mongo == MongoSettings("mongodb://127.0.0.1", "earwitness")
    assert filled.kafka.kafka_servers == ("127.0.0.1:9092",)
    assert filled.http == HttpSettings("127.0.0.1", 0)
    assert filled.runtime == RuntimeSettings()


def test_every_problem_is_listed_at_once_by_name():
    problems = problems_of(Everything, {"EARWITNESS_COUNT": "10", "EARWITNESS_NAME": "", "EARWITNESS_MODE": "medium"})
    assert problems == (
        "EARWITNESS_NAME is missing: expected a text",
        "EARWITNESS_COUNT is malformed: expected an integer >= 1 <= 9",
        "EARWITNESS_RATIO is missing: expected a number",
        "EARWITNESS_ENABLED is missing: expected true or false",
        "EARWITNESS_FOLDER is missing: expected a path",
        "EARWITNESS_SERVERS is missing: expected a comma-separated list, each a text",
        "EARWITNESS_COLOUR is missing: expected one of red, blue",
        "EARWITNESS_MODE is malformed: expected one of fast, slow",
    )


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("COUNT", "many"),
        ("COUNT", "0"),
        ("RATIO", "nan"),
        ("RATIO", "inf"),
        ("ENABLED", "maybe"),
        ("SERVERS", ","),
        ("COLOUR", "green"),
        ("LIMIT", "0"),
        ("LIMIT", "null"),
    ],
)
def test_a_malformed_value_is_named_and_never_repeated(variable, text):
    (problem,) = problems_of(Everything, FULL | {f"EARWITNESS_{variable}": text})
    assert problem.startswith(f"EARWITNESS_{variable} is malformed: expected ")
    if text.isalpha():
        assert text not in problem


def test_a_malformed_nested_value_does_not_hide_the_others():
    problems = problems_of(Nested, {"EARWITNESS_HTTP_PORT": "70000"})
    assert "EARWITNESS_HTTP_PORT is malformed: expected an integer >= 0 <= 65535" in problems
    assert "EARWITNESS_MONGO_URL is missing: expected a text" in problems


def test_a_secret_is_read_from_the_file_that_its_variable_names(tmp_path):
    secret = tmp_path / "name"
    secret.write_text("from a file\n", encoding="utf-8")
    environ = {key: value for key, value in FULL.items() if key != "EARWITNESS_NAME"}
    assert load(Everything, environ | {"EARWITNESS_NAME_FILE": str(secret)}).name == "from a file"


def test_an_unreadable_secret_file_is_named(tmp_path):
    (problem,) = problems_of(Everything, {**FULL, "EARWITNESS_NAME": "", "EARWITNESS_NAME_FILE": str(tmp_path / "absent")})
    assert problem == "EARWITNESS_NAME_FILE names a file that cannot be read: No such file or directory"


def test_naming_both_a_value_and_a_file_is_refused(tmp_path):
    (problem,) = problems_of(Everything, FULL | {"EARWITNESS_NAME_FILE": str(tmp_path)})
    assert problem == "EARWITNESS_NAME and EARWITNESS_NAME_FILE are both set: expected one of them"


def test_a_rule_across_fields_is_reported_like_the_others():
    problems = problems_of(Paired, {"EARWITNESS_LOW": "3"})
    assert problems == ("EARWITNESS_LOW must not be above EARWITNESS_HIGH",)


def test_an_optional_form_is_described_by_what_it_holds():
    assert expected_form(Annotated[int, msgspec.Meta(gt=0)] | None) == "an integer > 0"


def test_a_process_with_wrong_settings_stops_with_status_78_and_one_message():
    program = (
        "from shared.settings import *\n"
        "try: load(HttpSettings, {'EARWITNESS_HTTP_PORT': 'hunter2'})\n"
        "except SettingsError as error: exit_on_settings_error(error)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 78
    assert ended.stdout == ""
    assert ended.stderr == (
        "the settings are not complete:\n"
        "  EARWITNESS_HTTP_HOST is missing: expected a text\n"
        "  EARWITNESS_HTTP_PORT is malformed: expected an integer >= 0 <= 65535\n"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("events_keep_days", "36500"),
        ("kafka_session_timeout_ms", "99999999999"),
        ("kafka_servers", "127.0.0.1"),
        ("kafka_servers", "127.0.0.1:9092,kafka:abc"),
        ("s3_endpoint", "127.0.0.1:9000"),
        ("mongo_url", "mongodb://user:27/secret@127.0.0.1/"),
        ("mongo_url", "mongodb://user:se@cret@127.0.0.1/"),
        ("mongo_url", "mongodb://user:se:cret@127.0.0.1/"),
        ("s3_endpoint", "http://127.0.0.1:9000/store"),
        ("s3_secret_key", os.fsdecode(b"caf\xe9")),
    ],
)
def test_what_no_server_would_take_is_malformed(name, text):
    variable = f"EARWITNESS_{name.upper()}"
    assert any(problem.startswith(f"{variable} is malformed: expected ") for problem in problems_of(Nested, {variable: text}))


@pytest.mark.parametrize("server", ["127.0.0.1:9092", "[::1]:9092", "kafka-0.kafka.example.:9092", "a:1,b_2:2"])
def test_brokers_may_be_named_in_any_way_there_is(server):
    problems = problems_of(Nested, {"EARWITNESS_KAFKA_SERVERS": server})
    assert not any("KAFKA_SERVERS" in problem for problem in problems)


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://127.0.0.1:27017/?directConnection=true",
        "mongodb+srv://user:se%2Fcret@cluster.example.net/earwitness?retryWrites=true&w=majority",
        "mongodb://a:1,b:2,[::1]:3/?replicaSet=rs0&authMechanismProperties=SERVICE_NAME:x@y",
        "mongodb://%2Ftmp%2Fmongodb-27017.sock",
        "mongodb://user@127.0.0.1",
        "127.0.0.1:27017",
    ],
)
def test_mongodb_may_be_named_in_any_way_there_is(url):
    assert load(MongoSettings, {"EARWITNESS_MONGO_URL": url}).mongo_url == url
