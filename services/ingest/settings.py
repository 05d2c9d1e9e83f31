"""What the API needs to know before it starts."""

from typing import Annotated

import msgspec

from shared.settings import HttpSettings, KafkaSettings, MongoSettings, RuntimeSettings, S3Settings

Secret = Annotated[str, msgspec.Meta(min_length=16)]
_MIB = 1024 * 1024


class ApiSettings(msgspec.Struct, frozen=True):
    """How the API presents itself and what it admits.

    `public_url` is the base of every URL handed out. `signing_secret` signs chunk URLs and cursors, so it is the same on every
    replica. `key_cache_s` is how long a revoked key may still work.
    """

    public_url: Annotated[str, msgspec.Meta(pattern=r"^https?://")]
    admin_token: Secret
    signing_secret: Secret
    webhooks_allow_private: bool = False
    key_cache_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 30
    chunk_url_ttl_s: Annotated[int, msgspec.Meta(ge=60, le=7 * 24 * 3600)] = 24 * 3600
    upload_url_ttl_s: Annotated[int, msgspec.Meta(ge=60, le=7 * 24 * 3600)] = 3600
    max_chunk_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * _MIB


class IngestSettings(msgspec.Struct, frozen=True):
    """Everything, by concern."""

    mongo: MongoSettings
    kafka: KafkaSettings
    s3: S3Settings
    http: HttpSettings
    runtime: RuntimeSettings
    api: ApiSettings
