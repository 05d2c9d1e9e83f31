"""What the transcriber reads from the environment about providers on the network."""

from typing import Annotated

import msgspec

from shared.domain.provider_key import ON_THE_NETWORK
from shared.domain.transcription import ProviderName
from shared.settings import TimeLimit

Url = Annotated[str, msgspec.Meta(pattern=r"^https?://")]
Price = Annotated[float, msgspec.Meta(ge=0)]


class CloudSettings(msgspec.Struct, frozen=True):
    """Providers on the network: the installation's keys, where they answer, and what an hour of audio costs there.

    With `providers_fetch_audio_s` a provider is given a pre-signed URL that holds so long, where it can reach the object store;
    without, it is sent the bytes. `providers_callback_url` is where providers reach the API: those that send their results by
    themselves are then not waited for. With `providers_order_again` an order is placed again when its answer was lost on the way,
    though it may then be paid for twice.
    """

    deepgram_api_key: str | None = None
    deepgram_url: Url = "https://api.deepgram.com"
    deepgram_model: str = "nova-2"
    deepgram_hour_price: Price = 0.0
    assemblyai_api_key: str | None = None
    assemblyai_url: Url = "https://api.assemblyai.com"
    assemblyai_model: str = "best"
    assemblyai_hour_price: Price = 0.0
    elevenlabs_api_key: str | None = None
    elevenlabs_url: Url = "https://api.elevenlabs.io"
    elevenlabs_model: str = "scribe_v1"
    elevenlabs_hour_price: Price = 0.0
    elevenlabs_asynchronous: bool = False
    whisper_hour_price: Price = 0.0
    providers_fetch_audio_s: Annotated[int, msgspec.Meta(ge=60, le=7 * 24 * 3600)] | None = None
    providers_slots: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 16
    providers_time_limit_s: TimeLimit = 6 * 3600.0
    providers_callback_url: Url | None = None
    providers_callback_limit_s: TimeLimit = 1800.0
    providers_keep_copies: bool = False
    providers_order_again: bool = False

    def keys(self) -> dict[ProviderName, str]:
        """Return the installation's keys, by provider."""
        given = {provider: getattr(self, f"{provider}_api_key") for provider in ON_THE_NETWORK}
        return {provider: key for provider, key in given.items() if key}

    def hour_prices(self) -> dict[ProviderName, float]:
        """Return what an hour of audio costs, by provider."""
        return {provider: getattr(self, f"{provider}_hour_price") for provider in ProviderName}
