"""The sections: each with its form, the levels that may speak of it, and how they combine (contract 16.3)."""

from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from shared.domain.config.forms import (
    ConnectionConfig,
    Form,
    ProcessingConfig,
    UploadConfig,
    UploadPolicy,
    UploadSecurityConfig,
)
from shared.domain.config.levels import ConfigLevel
from shared.domain.config.merging import Rule, Rules, Strategy, combined

EVERY_LEVEL = (ConfigLevel.ORGANIZATION, ConfigLevel.PROJECT, ConfigLevel.END_USER, ConfigLevel.DEVICE)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A section. The field defaults of `form` are its built-in level; `rules` hold for keys that differ from `merge_strategy`."""

    name: str
    description: str
    form: type[Form]
    levels: tuple[ConfigLevel, ...] = EVERY_LEVEL
    merge_strategy: Strategy = Strategy.MERGE_DEEP
    rules: Rules = msgspec.field(default_factory=dict)

    @property
    def defaults(self) -> dict[str, Any]:
        """The built-in value."""
        return _plain(self.form())

    def complete(self, part: Mapping[str, Any]) -> dict[str, Any]:
        """Return `part` with everything it does not say at its default; raises `msgspec.ValidationError`."""
        return _plain(msgspec.convert(part, self.form))

    def known(self, part: Mapping[str, Any]) -> dict[str, Any]:
        """Return `part` without keys that the section does not have; raises `msgspec.ValidationError`."""
        return _named_by(part, self.complete(part))

    def combined(self, general: Mapping[str, Any], specific: Mapping[str, Any]) -> dict[str, Any]:
        """Return what counts where `general` counted and a more specific level says `specific`."""
        return combined(general, specific, self.rules, Rule(self.merge_strategy))


SECTIONS: Mapping[str, Section] = {
    section.name: section
    for section in (
        Section(
            name="processing",
            description="What happens by itself once audio or a transcript is there.",
            form=ProcessingConfig,
            rules={
                "max_concurrent_transcriptions": Rule(Strategy.MIN, unlimited=0),
                "failover_providers": Rule(Strategy.OVERRIDE),
            },
        ),
        Section(
            name="upload",
            description="How a device sends its audio, and how much of it.",
            form=UploadConfig,
            rules={"daily_data_limit_mb": Rule(Strategy.MIN, unlimited=0)},
        ),
        Section(
            name="connection",
            description="Over which networks a device connects, and when its radios sleep.",
            form=ConnectionConfig,
        ),
        Section(
            name="upload_security",
            description="Whether uploads have to be encrypted; the strictest level wins.",
            form=UploadSecurityConfig,
            levels=(ConfigLevel.ORGANIZATION, ConfigLevel.PROJECT, ConfigLevel.DEVICE),
            merge_strategy=Strategy.ORDERED_MAX,
            rules={"encrypted_upload_policy": Rule(Strategy.ORDERED_MAX, order=get_args(UploadPolicy))},
        ),
    )
}
"""Every section by name."""


def _plain(value: Form) -> dict[str, Any]:
    """Return the value as JSON knows it."""
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return plain


def _named_by(part: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return of `whole` what `part` has a key for."""
    named: dict[str, Any] = {}
    for key, value in whole.items():
        if key in part:
            said = part[key]
            named[key] = _named_by(said, value) if isinstance(said, Mapping) and isinstance(value, Mapping) else value
    return named
