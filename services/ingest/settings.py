"""What the API needs to know before it starts."""

import re
from typing import Annotated

import msgspec

from shared.domain.transcription import ProviderName
from shared.domain.webhook import MAX_GRACE_S
from shared.settings import HttpSettings, KafkaSettings, MongoSettings, RuntimeSettings, S3Settings, SealingSettings

Secret = Annotated[str, msgspec.Meta(min_length=16)]
Rate = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
_MIB = 1024 * 1024
_ORIGIN = re.compile(r"\*|https?://[a-z0-9.:\[\]-]+")


class ApiSettings(msgspec.Struct, frozen=True):
    """How the API presents itself and what it admits.

    `public_url` is the base of every URL handed out. `signing_secret` signs chunk URLs, cursors and grants of devices, so it is
    the same on every replica. `key_cache_s` is how long a revoked key may still work, and with `live_heartbeat_s` how long its
    streams may go on: a minute at most. The rates are of a project, `failures_per_minute` is of a client address;
    `cloud_providers` names those that the transcriber has a key of the installation for. `proxies` is how many proxies in front
    of the API append to `X-Forwarded-For`.
    """

    public_url: Annotated[str, msgspec.Meta(pattern=r"^https?://")]
    admin_token: Secret
    signing_secret: Secret
    webhooks_allow_private: bool = False
    webhooks_secret_grace_s: Annotated[int, msgspec.Meta(ge=0, le=MAX_GRACE_S)] = 86_400
    webhooks_test_wait_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 12
    live_streams_per_project: Annotated[int, msgspec.Meta(ge=1)] = 100
    live_heartbeat_s: Annotated[float, msgspec.Meta(ge=1, le=15)] = 15
    key_cache_s: Annotated[float, msgspec.Meta(ge=0, le=45)] = 30
    chunk_url_ttl_s: Annotated[int, msgspec.Meta(ge=60, le=7 * 24 * 3600)] = 24 * 3600
    upload_url_ttl_s: Annotated[int, msgspec.Meta(ge=60, le=7 * 24 * 3600)] = 3600
    max_chunk_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * _MIB
    max_relay_bytes: Annotated[int, msgspec.Meta(ge=1, le=5 * 1024 * _MIB)] = 5 * 1024 * _MIB
    max_answer_bytes: Annotated[int, msgspec.Meta(ge=1, le=256 * _MIB)] = 64 * _MIB
    requests_per_second: Rate = 100
    requests_per_minute: Rate = 6000
    upload_urls_per_minute: Rate = 600
    transcriptions_per_minute: Rate = 300
    failures_per_minute: Rate = 60
    proxies: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0
    cors_origins: tuple[str, ...] | None = None
    cloud_providers: tuple[ProviderName, ...] = ()

    def __post_init__(self) -> None:
        """Refuse origins that no browser sends."""
        if not all(map(_ORIGIN.fullmatch, self.cors_origins or ())):
            raise ValueError("EARWITNESS_CORS_ORIGINS is malformed: expected origins such as https://app.example.com, or *")


class IngestSettings(msgspec.Struct, frozen=True):
    """Everything, by concern."""

    mongo: MongoSettings
    kafka: KafkaSettings
    s3: S3Settings
    http: HttpSettings
    runtime: RuntimeSettings
    sealing: SealingSettings
    api: ApiSettings
