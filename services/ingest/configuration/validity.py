"""What configuration is refused: values out of the section's form, and those that could not work here."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from services.ingest.configuration.targets import Target
from services.ingest.providers import accepted_language, refuse_unless_configured
from services.ingest.refusals import InvalidRequest, NotFound
from services.ingest.strict_json import fitted
from shared.domain.config.forms import ProcessingConfig
from shared.domain.config.overrides import Resolved
from shared.domain.config.sections import SECTIONS, Section
from shared.domain.transcription import ProviderName

_PREFERENCE = "upload_network_preference"


def section_of(name: str) -> Section:
    """Return the section; raises `NotFound`."""
    section = SECTIONS.get(name)
    if section is None:
        raise NotFound(f"there is no section {name[:80]}")
    return section


def spoken_of(target: Target, name: str) -> Section:
    """Return the section; raises `NotFound` also when the subject's level may not speak of it."""
    section = section_of(name)
    if target.subject.level not in section.levels:
        levels = [str(level) for level in section.levels]
        message = f"{name} is not set per {target.subject.level}, only per {', '.join(levels)}"
        raise NotFound(message, param="section", details={"levels": levels})
    return section


def checked(section: Section, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return of `body` what the section knows; other keys are passed over as in any body (contract A1)."""
    fitted(body, section.form)
    return section.known(body)


def refuse_repeated(before: Resolved, said: Mapping[str, Any]) -> None:
    """Refuse a network that is named twice, but where the list is sent back as it was read: levels may combine to such a one."""
    networks = said.get(_PREFERENCE, [])
    if len(set(networks)) != len(networks) and networks != before.value[_PREFERENCE]:
        raise InvalidRequest("a network is named twice", param=_PREFERENCE)


def refuse_unworkable(before: Resolved, result: Resolved, said: Mapping[str, Any], providers: AbstractSet[ProviderName]) -> None:
    """Refuse a change after which automatic transcription would ask for what the provider, or this installation, has not.

    To switch it off is never refused, though what was chosen before may have ceased to work since.
    """
    if result.section.form is ProcessingConfig and "auto_transcription" in said:
        was, auto = (msgspec.convert(each.value, ProcessingConfig).auto_transcription for each in (before, result))
        if auto == msgspec.structs.replace(was, enabled=False):
            return
        refuse_unless_configured(auto.provider, providers, param="auto_transcription.provider")
        field = "auto_transcription.language"
        spelt = accepted_language(auto.provider, auto.language, param=field)
        if spelt != auto.language:
            raise InvalidRequest(f"{auto.provider} spells that language {spelt}", param=field)
