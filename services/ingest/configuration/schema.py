"""A section as JSON Schema."""

from typing import Any

import msgspec

from shared.domain.config.sections import Section


def schema_of(section: Section) -> dict[str, Any]:
    """Return the schema of the section's value, with nothing referred to, and the rules of keys that have their own.

    The `enum` of a key that takes the strictest is in the order of strictness; `unlimited` is the number that means none.
    """
    built = msgspec.json.schema(section.form)
    schema: dict[str, Any] = _inlined(built, built["$defs"])
    for key, rule in section.rules.items():
        described = schema["properties"][key]
        described["merge_strategy"] = str(rule.strategy)
        if rule.order:
            described["enum"] = list(rule.order)
        if rule.unlimited is not None:
            described["unlimited"] = rule.unlimited
    return schema


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:  # noqa: ANN401 - any part of a schema
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        referred = definitions[schema["$ref"].rpartition("/")[2]]
        schema = referred | {key: value for key, value in schema.items() if key not in {"$ref", "$defs"}}
    return {key: _inlined(value, definitions) for key, value in schema.items() if key not in {"title", "required"}}
