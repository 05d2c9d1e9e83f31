"""JSON Schemas made from Structs, so that what is described is what is decoded and encoded."""

import re
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Union, get_args, get_origin

import msgspec

from services.ingest.openapi.examples import EXAMPLES
from services.ingest.openapi.prose import told
from shared.domain.wire import TIME_PATTERN, id_pattern

Schema = dict[str, Any]

_PLACE = "#/components/schemas/"
_PAGE = re.compile(r"^PageView_(.+)_$")
_NAMES = {
    "ErrorResource": "Failure",
    "MediaResource": "Media",
    "RecordingResource": "Recording",
    "StitchingResource": "Stitching",
}
_FOREIGN_KEYS = {
    "command_id": "cmd",
    "credential_id": "key",
    "delivery_id": "whd",
    "device_id": "dev",
    "end_user_id": "eu",
    "endpoint_id": "we",
    "event_id": "evt",
    "media_id": "med",
    "organization_id": "org",
    "project_id": "proj",
    "recording_id": "rec",
    "request_id": "",  # a client may choose it
    "transcription_id": "txn",
}


class Schemas:
    """Collects the components that the document's schemas refer to."""

    def __init__(self) -> None:
        self._components: dict[str, Schema] = {}

    def named(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document with its components, each under the name that readers know, or its own where that is taken."""
        shown = {name: _shown(name) for name in self._components}
        taken = Counter([*self._components, *(wished for name, wished in shown.items() if wished != name)])
        names = {name: wished for name, wished in shown.items() if taken[wished] == 1}
        components = {names.get(name, name): schema for name, schema in self._components.items()}
        document["components"]["schemas"] = dict(sorted(components.items()))
        renamed: dict[str, Any] = _renamed(document, names)
        return renamed

    def body(self, form: Any) -> Schema:  # noqa: ANN401 - whatever a handler declares
        """Describe what clients send."""
        return self._collected(form, answered=False)

    def answer(self, form: Any) -> Schema:  # noqa: ANN401 - as above
        """Describe what clients get: ids and times have their exact form. A union of Structs is any of them."""
        if get_origin(form) in {Union, types.UnionType} and all(map(_is_struct, get_args(form))):
            return {"anyOf": [self.answer(member) for member in get_args(form)]}
        return self._collected(form, answered=True)

    def add(self, name: str, schema: Schema) -> Schema:
        """Keep a component made elsewhere; return the reference to it."""
        self._components[name] = schema
        return {"$ref": _PLACE + name}

    def _collected(self, form: Any, *, answered: bool) -> Schema:  # noqa: ANN401 - as above
        (schema,), found = msgspec.json.schema_components([form], schema_hook=_anything, ref_template=_PLACE + "{name}")
        for name, component in found.items():
            refined = _refined(name, component, answered=answered)
            if self._components.setdefault(name, refined) != refined:
                raise TypeError(f"two forms are called {name}")
        found_schema: Schema = _portable(schema)
        return found_schema


def _anything(kind: type) -> Schema:
    """Describe `object`, which is any value."""
    if kind is object:
        return {"description": "Any value."}
    raise NotImplementedError(kind)


def _is_struct(form: object) -> bool:
    return isinstance(form, type) and issubclass(form, msgspec.Struct)


def _refined(name: str, component: Schema, *, answered: bool) -> Schema:
    shown: Schema = _portable(component)
    shown.pop("title", None)
    if "description" in shown:
        shown["description"] = told(shown["description"])
    if answered:
        for key, schema in shown.get("properties", {}).items():
            _describe(key, schema)
    if name in EXAMPLES:
        shown["examples"] = [EXAMPLES[name]]
    return shown


def _describe(key: str, schema: Schema) -> None:
    for text in _texts(schema):
        if key.endswith("_at"):
            text |= {"format": "date-time", "pattern": TIME_PATTERN}
        elif _FOREIGN_KEYS.get(key) and "maxLength" not in text:  # what is bounded was sent, and may be no id
            text.setdefault("pattern", id_pattern(_FOREIGN_KEYS[key]))


def _texts(schema: Schema) -> Iterator[Schema]:
    """Yield the schema if it is that of a text, and those of its alternatives that are."""
    for alternative in (schema, *schema.get("anyOf", ())):
        if alternative.get("type") == "string":
            yield alternative


def _portable(value: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Write patterns as ECMAScript has them: there `$` is the very end of the text."""
    if isinstance(value, dict):
        return {
            key: item.replace(r"\Z", "$") if key == "pattern" and isinstance(item, str) else _portable(item)
            for key, item in value.items()
        }
    return [_portable(item) for item in value] if isinstance(value, list) else value


def _renamed(value: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - any part of a document
    if isinstance(value, dict):
        return {key: _reference(item, names) if key == "$ref" else _renamed(item, names) for key, item in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value


def _reference(place: str, names: Mapping[str, str]) -> str:
    name = place.removeprefix(_PLACE)
    return _PLACE + names.get(name, name) if name != place else place


def _shown(name: str) -> str:
    """Name a Struct as readers of the document know it: without `View`, a page by its items."""
    page = _PAGE.match(name)
    return f"{_shown(page[1])}Page" if page else _NAMES.get(name, name.removesuffix("View"))
