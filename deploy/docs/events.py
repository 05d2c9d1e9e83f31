"""Makes `docs/events.md` from the table of topics: `python -m deploy.docs.events` writes it; a unit test keeps it current."""

import inspect
import textwrap
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Union, get_args, get_origin

import msgspec

from shared.domain.delivery import AttemptError
from shared.domain.errors import FailureReason
from shared.events.event import Event
from shared.events.resources import ErrorResource, MediaResource, RecordingResource, StitchingResource, TranscriptionResource
from shared.events.topics import DEAD_LETTER_TOPIC, TOPICS, Topic

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"

_RESOURCES = (RecordingResource, MediaResource, StitchingResource, TranscriptionResource, ErrorResource)

_HEAD = f"""# Events

Made from `shared/events/` by `python -m deploy.docs.events`; do not edit by hand.

One topic per event type, named by it. The key of a message is the recording's id, so one recording's events stay in order within
a topic. The value is JSON. The headers `event_id` and `trace_id` repeat these fields. Delivery is at least once: a replay has the
same `event_id` and the same bytes. What cannot be handled goes to the topic `{DEAD_LETTER_TOPIC}` (see `operations.md`).

The producers are the services whose decision the event tells of; the relay of any service may publish what another left in an
outbox. The stitcher says `recording.uploaded` when it has verified a claimed hash, ingest `recording.failed` when it finds one
wrong itself and `transcription.failed` when one is cancelled, and the transcriber `transcription.queued` for automatic
transcriptions.

A consumer is a consumer group. Public events are those a webhook endpoint may subscribe to.
"""

_BASE = """
## Every event has

`event_id` is derived from (aggregate id, event type, version of the aggregate): `evt_` and 26 characters, sorting by the time the
aggregate was made. `version` is the version of the recording or transcription that the event made. `schema` is that of the
event's own form.
"""

_WEBHOOK = """
## On a webhook

The body is `{id, type, created_at, data}`: `id` is the `event_id`, `created_at` the `occurred_at`. `data` is the resource that
the event carries: the recording, or the transcription. Added to it:

- `recording.uploaded`: `duration_seconds` (not rounded), `file_size_bytes`, `format` (`ogg`, `wav`, …) of the audio;
- every `transcription.*`: `text`, `full_text`, `segments`, null until it is completed. `transcription.completed` has the text;
  above 256 KiB it has `truncated: true` instead of these three, and the API has the text.
"""


def document() -> str:
    """Return the whole document."""
    parts = [_HEAD, *_table(("Topic", "Says", "Producers", "Consumers", "Public"), map(_topic_row, TOPICS.values()))]
    parts += [_BASE, *_fields_table(Event)]
    parts += ["\n## What each has besides\n", *_table(("Event", "Field", "Type"), _own_fields())]
    for resource in _RESOURCES:
        parts += [f"\n## {resource.__name__}\n", _sentence(resource) + "\n", *_fields_table(resource)]
    parts += ["\n## Failure reasons\n", "`error.code` of a recording or a transcription is one of:\n", _list(FailureReason)]
    parts += ["\n`error` of a webhook attempt that got no answer is one of:\n", _list(AttemptError), _WEBHOOK]
    return "\n".join(parts)


def type_in_words(wanted: object) -> str:
    """Say what JSON holds for a field of this type."""
    if get_origin(wanted) is Annotated:
        return type_in_words(get_args(wanted)[0])
    if get_origin(wanted) in (Union, types.UnionType):
        return " or ".join(type_in_words(alternative) for alternative in get_args(wanted))
    if get_origin(wanted) is tuple:
        return f"list of {type_in_words(get_args(wanted)[0])}"
    if get_origin(wanted) is dict:
        return "object"
    names = {str: "string", int: "integer", bool: "boolean", float: "number", types.NoneType: "null", msgspec.UnsetType: "absent"}
    if isinstance(wanted, type):
        return names.get(wanted) or {"datetime": "time", "Mode": "`live` or `test`"}.get(wanted.__name__, wanted.__name__)
    return "null" if wanted is None else str(wanted)


def _topic_row(topic: Topic) -> tuple[str, ...]:
    producers, consumers = ", ".join(topic.producers) or "none yet", ", ".join(topic.consumers)
    return f"`{topic.name}`", _sentence(topic.event), producers, consumers, "yes" if topic.public else "no"


def _own_fields() -> Iterator[tuple[str, ...]]:
    common = set(Event.__struct_fields__)
    for topic in TOPICS.values():
        for field in msgspec.structs.fields(topic.event):
            if field.name not in common:
                yield f"`{topic.name}`", f"`{field.name}`", type_in_words(field.type)


def _fields_table(form: type[msgspec.Struct]) -> list[str]:
    return _table(("Field", "Type"), ((f"`{field.name}`", type_in_words(field.type)) for field in msgspec.structs.fields(form)))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    return [_line(head), _line(("---",) * len(head)), *map(_line, rows)]


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _list(words: Iterable[str]) -> str:
    return textwrap.fill(", ".join(f"`{word}`" for word in words) + ".", 130)


def _sentence(form: type) -> str:
    return (inspect.getdoc(form) or "").replace("\n", " ")


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
    print(DOCUMENT)
