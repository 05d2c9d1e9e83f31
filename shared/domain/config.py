"""Hierarchical configuration: sections with defaults, overridden level by level (contract section 16).

An override states only what differs. Objects merge key by key, the most specific level wins.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import msgspec

from shared.domain.transcription import ProviderName


class ConfigLevel(StrEnum):
    """Where a value may come from, from general to specific."""

    DEFAULT = "default"
    ORGANIZATION = "organization"
    PROJECT = "project"
    END_USER = "end_user"
    DEVICE = "device"


class AutoTranscription(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an upload is transcribed without being asked for, and how."""

    enabled: bool = False
    provider: ProviderName = ProviderName.WHISPER
    language: str | None = None


class AutoSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a transcript is summarised without being asked for, and how."""

    enabled: bool = False
    template: Literal["general_notes", "sales_call", "clinical_soap", "legal_memo", "custom"] | None = None
    provider: Literal["gemini", "openai", "claude"] | None = None


class AutoEmbedding(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a transcript is embedded for search."""

    enabled: bool = False


class AutoEnhancement(msgspec.Struct, frozen=True, kw_only=True):
    """Whether audio is enhanced before it is transcribed, and how."""

    enabled: bool = False
    provider: Literal["cleanvoice"] | None = None


class ProcessingConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The `processing` section, resolved."""

    auto_transcription: AutoTranscription = AutoTranscription()
    auto_summary: AutoSummary = AutoSummary()
    auto_embedding: AutoEmbedding = AutoEmbedding()
    auto_enhancement: AutoEnhancement = AutoEnhancement()


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One section: the form of its resolved value, whose field defaults are the built-in level, and how levels combine."""

    name: str
    description: str
    form: type[msgspec.Struct]
    merge_strategy: str = "merge_deep"

    @property
    def defaults(self) -> dict[str, Any]:
        """The built-in value."""
        value: dict[str, Any] = msgspec.to_builtins(self.form())
        return value


SECTIONS: Mapping[str, Section] = {
    section.name: section
    for section in (
        Section(
            name="processing",
            description="What happens by itself once audio or a transcript is there.",
            form=ProcessingConfig,
        ),
    )
}
"""Every section by name."""


class ConfigOverride(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """What one organization, project, end user or device says about one section."""

    id: str
    level: ConfigLevel
    subject_id: str
    section: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime


def merged(general: Mapping[str, Any], specific: Mapping[str, Any]) -> dict[str, Any]:
    """Return `general` overridden by `specific`: objects key by key, anything else as a whole."""
    result = dict(general)
    for key, value in specific.items():
        present = result.get(key)
        if isinstance(present, Mapping) and isinstance(value, Mapping):
            result[key] = merged(present, value)
        else:
            result[key] = value
    return result
