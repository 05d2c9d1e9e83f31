"""The resolved value of each section (contract 16.3); every field has its default, so a part of a value is a value, too."""

from typing import Annotated, Literal

import msgspec

from shared.domain.transcription import ProviderName

_LONGEST_TIMEOUT_S, _SHORTEST_TIMEOUT_S = 2540, 10

TimeOfDay = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", max_length=5)]
TimeZone = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}(?!\n)$", max_length=64)]
IdleTimeout = Annotated[
    int,
    msgspec.Meta(ge=-1, le=_LONGEST_TIMEOUT_S, extra_json_schema={"not": {"exclusiveMinimum": 0, "exclusiveMaximum": 10}}),
]
Network = Literal["wifi", "ble", "cellular"]
UploadPolicy = Literal["legacy_allowed", "v2_preferred", "v2_required"]


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A resolved value, or an object inside one."""


class AutoTranscription(Form, frozen=True, kw_only=True):
    """Whether an upload is transcribed without being asked for, and how."""

    enabled: bool = False
    provider: ProviderName = ProviderName.WHISPER
    language: str | None = None


class AutoSummary(Form, frozen=True, kw_only=True):
    """Whether a transcript is summarised without being asked for, and how."""

    enabled: bool = False
    template: Literal["general_notes", "sales_call", "clinical_soap", "legal_memo", "custom"] | None = None
    provider: Literal["gemini", "openai", "claude"] | None = None


class AutoEmbedding(Form, frozen=True, kw_only=True):
    """Whether a transcript is embedded for search."""

    enabled: bool = False


class AutoEnhancement(Form, frozen=True, kw_only=True):
    """Whether audio is enhanced before it is transcribed, and how."""

    enabled: bool = False
    provider: Literal["cleanvoice"] | None = None


class ProcessingConfig(Form, frozen=True, kw_only=True):
    """The `processing` section. `failover_providers` are tried in their order when the one that was asked for fails.

    A `max_concurrent_transcriptions` of 0 is any number; it is the project's: of what is transcribed here, and of
    exchanges with providers.
    """

    auto_transcription: AutoTranscription = AutoTranscription()
    auto_summary: AutoSummary = AutoSummary()
    auto_embedding: AutoEmbedding = AutoEmbedding()
    auto_enhancement: AutoEnhancement = AutoEnhancement()
    max_concurrent_transcriptions: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    failover_providers: Annotated[tuple[ProviderName, ...], msgspec.Meta(max_length=4)] = ()


class OffPeakHours(Form, frozen=True, kw_only=True):
    """The hours to which a device keeps its uploads; `start` after `end` spans midnight."""

    enabled: bool = False
    start: TimeOfDay = "22:00"
    end: TimeOfDay = "06:00"
    timezone: TimeZone = "UTC"


class UploadConfig(Form, frozen=True, kw_only=True):
    """The `upload` section: how a device sends. A `daily_data_limit_mb` of 0 is none."""

    streaming_enabled: bool = False
    streaming_chunk_kb: Annotated[int, msgspec.Meta(ge=64, le=1024)] = 256
    streaming_flush_interval_seconds: Annotated[int, msgspec.Meta(ge=0, le=255)] = 60
    daily_data_limit_mb: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    allow_roaming: bool = False
    pause_on_low_battery: bool = True
    off_peak_hours: OffPeakHours | None = None


class Connections(Form, frozen=True, kw_only=True):
    """The networks that a device may use."""

    wifi: bool = True
    cellular: bool = True


class PowerManagement(Form, frozen=True, kw_only=True):
    """After how many idle seconds a device's radios sleep; -1 is never, 0 at once, else 10 to 2540."""

    wifi_idle_timeout_seconds: IdleTimeout = 180
    cellular_idle_timeout_seconds: IdleTimeout = 180

    def __post_init__(self) -> None:
        """Refuse a time that the radios do not know."""
        if any(0 < seconds < _SHORTEST_TIMEOUT_S for seconds in msgspec.structs.astuple(self)):
            raise ValueError(f"an idle timeout is -1, 0, or from {_SHORTEST_TIMEOUT_S} to {_LONGEST_TIMEOUT_S} seconds")


class ConnectionConfig(Form, frozen=True, kw_only=True):
    """The `connection` section: how a device connects. A network that is named twice counts where it is named first."""

    enabled_connections: Connections = Connections()
    heartbeat_enabled_connections: Connections = Connections()
    upload_network_preference: Annotated[tuple[Network, ...], msgspec.Meta(max_length=3)] = ("wifi", "ble", "cellular")
    power_management: PowerManagement = PowerManagement()


class UploadSecurityConfig(Form, frozen=True, kw_only=True):
    """The `upload_security` section: whether plain uploads are taken."""

    encrypted_upload_policy: UploadPolicy = "legacy_allowed"
