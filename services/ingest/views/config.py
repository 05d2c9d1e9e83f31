"""Configuration: sections as they count, what they are made of, and how they came to be (contract 16.2)."""

from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from services.ingest.configuration.schema import schema_of
from shared.domain.clock import wire_time
from shared.domain.config.overrides import ConfigChange, Resolved
from shared.domain.config.sections import Section
from shared.domain.wire import an_id


class DefinitionView(msgspec.Struct, kw_only=True):
    """What a section is for and how its levels combine."""

    description: str
    merge_strategy: str


class ConfigView(msgspec.Struct, kw_only=True):
    """A section as it counts; `source` is the most specific level that says something about it."""

    value: dict[str, Any]
    source: str
    definition: DefinitionView


class ConfigsView(msgspec.Struct):
    """Every section as it counts, by name."""

    data: dict[str, ConfigView]


class SectionView(msgspec.Struct, kw_only=True):
    """A section as it is built: `schema` is JSON Schema, where `merge_strategy` beside a key differs from the section's."""

    section: str
    description: str
    defaults: dict[str, Any]
    levels: list[str]
    merge_strategy: str
    schema: dict[str, Any]


class SectionsView(msgspec.Struct):
    """Every section as it is built."""

    data: list[SectionView]


class AuthorView(msgspec.Struct, kw_only=True):
    """Who changed something: `kind` is `operator`, with no `credential_id`, or the kind of key."""

    kind: str
    credential_id: str | None


class ConfigChangeView(msgspec.Struct, kw_only=True):
    """One change of what one subject says about one section; None where it said nothing."""

    id: Annotated[str, an_id("cfg")]
    level: str
    subject_id: Annotated[str, an_id("dev", "eu", "org", "proj")]
    section: str
    version: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    changed_by: AuthorView
    request_id: str
    changed_at: str


def config_view(resolved: Resolved) -> ConfigView:
    """Show a section."""
    section = resolved.section
    definition = DefinitionView(description=section.description, merge_strategy=section.merge_strategy)
    return ConfigView(value=resolved.value, source=resolved.source, definition=definition)


def configs_view(all_resolved: Iterable[Resolved]) -> ConfigsView:
    """Show every section."""
    return ConfigsView({resolved.section.name: config_view(resolved) for resolved in all_resolved})


def section_view(section: Section) -> SectionView:
    """Show how a section is built."""
    return SectionView(
        section=section.name,
        description=section.description,
        defaults=section.defaults,
        levels=[str(level) for level in section.levels],
        merge_strategy=section.merge_strategy,
        schema=schema_of(section),
    )


def config_change_view(change: ConfigChange) -> ConfigChangeView:
    """Show a change."""
    return ConfigChangeView(
        id=change.id,
        level=change.level,
        subject_id=change.subject_id,
        section=change.section,
        version=change.version,
        before=change.before,
        after=change.after,
        changed_by=AuthorView(kind=change.by.kind, credential_id=change.by.credential_id),
        request_id=change.by.request_id,
        changed_at=wire_time(change.changed_at),
    )
