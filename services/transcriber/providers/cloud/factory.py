"""Makes the adapters of every provider on the network from the settings."""

from collections.abc import Mapping

import msgspec

from services.transcriber.cloud_ports import CloudProvider
from services.transcriber.cloud_settings import CloudSettings
from services.transcriber.providers.cloud.assemblyai import AssemblyAI
from services.transcriber.providers.cloud.deepgram import Deepgram
from services.transcriber.providers.cloud.elevenlabs import ElevenLabs
from services.transcriber.providers.cloud.http import ProviderHttp
from shared.domain.transcription import ProviderName


class Clouds(msgspec.Struct, frozen=True):
    """The providers on the network, and their connections."""

    providers: Mapping[ProviderName, CloudProvider]
    connections: tuple[ProviderHttp, ...]

    async def close(self) -> None:
        """Close the connections."""
        for connection in self.connections:
            await connection.close()


def clouds(settings: CloudSettings) -> Clouds:
    """Return the adapters; nothing is connected before the first order."""
    deepgram = ProviderHttp("deepgram", settings.deepgram_url)
    assemblyai = ProviderHttp("assemblyai", settings.assemblyai_url)
    elevenlabs = ProviderHttp("elevenlabs", settings.elevenlabs_url)
    providers: dict[ProviderName, CloudProvider] = {
        ProviderName.DEEPGRAM: Deepgram(deepgram, model=settings.deepgram_model),
        ProviderName.ASSEMBLYAI: AssemblyAI(assemblyai, model=settings.assemblyai_model),
        ProviderName.ELEVENLABS: ElevenLabs(
            elevenlabs, model=settings.elevenlabs_model, asynchronous=settings.elevenlabs_asynchronous
        ),
    }
    return Clouds(providers, (deepgram, assemblyai, elevenlabs))
