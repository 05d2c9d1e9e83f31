"""Settings: frozen Structs, one per concern, filled from the environment once, at start.

This is the only place that reads `os.environ`. A field `mongo_url` comes from `EARWITNESS_MONGO_URL`, or from the file named by
`EARWITNESS_MONGO_URL_FILE` (a mounted secret). Nested Structs group fields and add nothing to the names. Whatever is missing or
malformed is reported together, by name and expected form; a value is never repeated, for it may be a secret.
"""

import math
import os
import re
import sys
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")

PREFIX = "EARWITNESS_"
EXIT_MISCONFIGURED = 78  # EX_CONFIG in sysexits.h
BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
WORDS: dict[type, str] = {str: "a text", int: "an integer", float: "a number", bool: "true or false", Path: "a path"}
CONSTRAINTS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "pattern": "matching"}

_MONGO_URL = re.compile(r"(mongodb(\+srv)?://)?([^\s/@:]*(:[^\s/@:]*)?@)?[^\s/@?]+(/[^\s@?]*)?(\?\S*)?")
MONGO_URL_FORM = "mongodb://user:password@host:port, with % / : @ in user and password as %25 %2F %3A %40"

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]  # 0: any free port
Server = Annotated[str, msgspec.Meta(pattern=r"^[^\s/]+:[0-9]{1,5}\Z")]
Endpoint = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+/?\Z")]
DatabaseName = Annotated[str, msgspec.Meta(pattern=r'^[^\s/\\.$"]+\Z')]
KeptDays = Annotated[int, msgspec.Meta(ge=1, le=24_855)]  # MongoDB counts the seconds of a TTL index in 31 bits
Lease = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
TimeLimit = Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)]
Patience = Annotated[int, msgspec.Meta(ge=500, le=86_400_000)]


class MongoSettings(msgspec.Struct, frozen=True):
    """Where the truth is kept, and for how long the events that told of it."""

    mongo_url: str
    mongo_database: DatabaseName = "earwitness"
    events_keep_days: KeptDays = 7

    def __post_init__(self) -> None:
        """Refuse a connection string of which the driver would take a part of the password for a name, and repeat it."""
        if not _MONGO_URL.fullmatch(self.mongo_url):
            raise ValueError(f"EARWITNESS_MONGO_URL is malformed: expected {MONGO_URL_FORM}")


class KafkaSettings(msgspec.Struct, frozen=True):
    """The broker, and what it is able to do."""

    kafka_servers: tuple[Server, ...]
    kafka_partitions: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 6
    kafka_replication: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    kafka_idempotent: bool = False  # not every broker knows idempotent producers
    kafka_group_instance: str | None = None  # static membership: the pod's name
    kafka_session_timeout_ms: Patience = 10_000  # Tansu forms a group in half of it: give it 3000
    kafka_poll_interval_ms: Patience = 300_000  # of the loop that reads; jobs run beside it
    kafka_fetch_wait_ms: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500  # Tansu answers only after it, always: give it 20


class S3Settings(msgspec.Struct, frozen=True):
    """The object store; `s3_public_endpoint` is how clients reach it when that differs from how services do."""

    s3_endpoint: Endpoint
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str
    s3_region: str = "us-east-1"
    s3_public_endpoint: Endpoint | None = None


class SealingSettings(msgspec.Struct, frozen=True):
    """The installation's own keys, each the base64 of 32 bytes: the first seals what is kept secret, all of them open it."""

    sealing_keys: tuple[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9+/]{43}=\Z")], ...]


class HttpSettings(msgspec.Struct, frozen=True):
    """Where the service listens; port 0 takes a free one."""

    http_host: str
    http_port: Port


class RuntimeSettings(msgspec.Struct, frozen=True):
    """How the process behaves."""

    log_level: LogLevel = "INFO"
    shutdown_grace_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 25
    work_dir: Path | None = None


class SettingsError(Exception):
    """The environment does not make valid settings; `problems` has one line per variable, without any value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the settings are not complete:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = tuple(problems)


class AmbiguousVariable(Exception):
    """A variable and the file that should hold it are both given."""


def load(settings: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Fill `settings` from `environ` (the process's own when None), or raise one `SettingsError` with every problem."""
    problems: list[str] = []
    filled = _fill(settings, os.environ if environ is None else environ, problems)
    if problems or filled is None:
        raise SettingsError(problems)
    return filled


def environment_without_settings() -> dict[str, str]:
    """Return the process's environment less every setting: what a program may see that needs none of our secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def exit_on_settings_error(error: SettingsError) -> NoReturn:
    """Print what is wrong to stderr, as one message, and leave with status 78."""
    sys.stderr.write(f"{error}\n")
    raise SystemExit(EXIT_MISCONFIGURED)


def _fill(settings: type[T], environ: Mapping[str, str], problems: list[str]) -> T | None:
    values: dict[str, Any] = {}
    found_before = len(problems)
    for field in msgspec.structs.fields(settings):  # type: ignore[arg-type]  # any Struct; msgspec has no name for it here
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            values[field.name] = _fill(field.type, environ, problems)
            continue
        variable = PREFIX + field.name.upper()
        try:
            text = _read(environ, variable)
            if text is not None:
                values[field.name] = _parse(text, field.type)
            elif field.required:
                problems.append(f"{variable} is missing: expected {expected_form(field.type)}")
        except AmbiguousVariable:
            problems.append(f"{variable} and {variable}_FILE are both set: expected one of them")
        except OSError as error:
            problems.append(f"{variable}_FILE names a file that cannot be read: {error.strerror}")
        except (ValueError, msgspec.ValidationError):
            problems.append(f"{variable} is malformed: expected {expected_form(field.type)}")
    return _construct(settings, values, problems) if len(problems) == found_before else None


def _construct(settings: type[T], values: dict[str, Any], problems: list[str]) -> T | None:
    try:
        return settings(**values)
    except ValueError as error:  # raised by a Struct's own __post_init__: a rule across fields
        problems.append(str(error))
        return None


def _read(environ: Mapping[str, str], variable: str) -> str | None:
    """Return the variable's text, or its file's; an empty one counts as missing."""
    text = environ.get(variable, "").strip()
    path = environ.get(f"{variable}_FILE", "").strip()
    if text and path:
        raise AmbiguousVariable
    if path:
        text = Path(path).read_text(encoding="utf-8").strip()
    return text or None


def _parse(text: str, wanted: object) -> object:
    """Turn `text` into `wanted`, constraints included; a ValueError when it is not one."""
    base = _base(wanted)
    if base is not Path:
        text.encode()  # of bytes that are no UTF-8, in the environment, no request could be made
    raw: object = text
    if base is bool:
        raw = BOOLEANS.get(text.lower(), text)
    elif get_origin(base) is tuple:
        raw = [item.strip() for item in text.split(",") if item.strip()]
        if not raw:
            raise ValueError("an empty list")
    value: object = msgspec.convert(raw, wanted, strict=base is bool, dec_hook=_decode_path)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("not a value")
    return value


def _decode_path(wanted: type, raw: object) -> object:
    if wanted is Path:
        return Path(str(raw)).expanduser()
    raise NotImplementedError(f"settings of type {wanted} are not supported")


def _base(wanted: object) -> object:
    """Return the type below `Annotated` and `Optional`."""
    if get_origin(wanted) is Annotated:
        return _base(get_args(wanted)[0])
    if get_origin(wanted) in (Union, types.UnionType):
        alternatives = [argument for argument in get_args(wanted) if argument is not types.NoneType]
        return _base(alternatives[0]) if len(alternatives) == 1 else wanted
    return wanted


def expected_form(wanted: object) -> str:
    """Say in words what `wanted` accepts, for people who set variables."""
    base = _base(wanted)
    if isinstance(base, type) and base in WORDS:
        form = WORDS[base]
    elif get_origin(base) is Literal:
        form = "one of " + ", ".join(str(choice) for choice in get_args(base))
    elif isinstance(base, type) and issubclass(base, Enum):
        form = "one of " + ", ".join(str(member.value) for member in base)
    elif get_origin(base) is tuple:
        form = "a comma-separated list, each " + expected_form(get_args(base)[0])
    else:
        form = str(base)
    return " ".join([form, *_constraints(wanted)])


def _constraints(wanted: object) -> Iterator[str]:
    if get_origin(wanted) is Annotated:
        for meta in get_args(wanted)[1:]:
            if isinstance(meta, msgspec.Meta):
                yield from (f"{sign} {bound}" for name, sign in CONSTRAINTS.items() if (bound := getattr(meta, name)) is not None)
    elif get_origin(wanted) in (Union, types.UnionType):
        for alternative in get_args(wanted):
            yield from _constraints(alternative)
