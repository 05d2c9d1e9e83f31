"""Which provider transcribes what nobody named one for: that of the recording's configuration, whose own default is Whisper."""

import msgspec

from services.ingest.configuration.ports import ConfigStore
from services.ingest.ports import OwnerLookup
from shared.domain.config.forms import ProcessingConfig
from shared.domain.config.levels import lineage
from shared.domain.config.overrides import resolved
from shared.domain.config.sections import SECTIONS
from shared.domain.recording import Recording
from shared.domain.transcription import ProviderName

_SECTION = SECTIONS["processing"]


class ChooseProvider:
    """Chooses providers as automatic transcription does; a change is felt at once."""

    def __init__(self, configs: ConfigStore, projects: OwnerLookup) -> None:
        self._configs, self._projects = configs, projects

    async def __call__(self, recording: Recording) -> ProviderName:
        """Return the provider that counts for the recording's end user and device."""
        organization_id = await self._projects.organization_of(recording.project_id)
        subjects = lineage(organization_id, recording.tenant, end_user_id=recording.end_user_id, device_id=recording.device_id)
        found = resolved(_SECTION, await self._configs.of(subjects, (_SECTION.name,)))
        return msgspec.convert(found.value, ProcessingConfig).auto_transcription.provider
