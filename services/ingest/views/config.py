"""Configuration."""

from typing import Any

import msgspec

from services.ingest.configure import Resolved


class DefinitionView(msgspec.Struct, kw_only=True):
    """What a section is for and how its levels combine."""

    description: str
    merge_strategy: str


class ConfigView(msgspec.Struct, kw_only=True):
    """A section as it counts (contract 16.2)."""

    value: dict[str, Any]
    source: str
    definition: DefinitionView


def config_view(resolved: Resolved) -> ConfigView:
    """Show a section."""
    section = resolved.section
    definition = DefinitionView(description=section.description, merge_strategy=section.merge_strategy)
    return ConfigView(value=resolved.value, source=resolved.source, definition=definition)
