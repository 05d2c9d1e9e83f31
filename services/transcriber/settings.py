"""What the transcriber reads from the environment."""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from services.transcriber.cloud_settings import CloudSettings
from shared.settings import (
    HttpSettings,
    KafkaSettings,
    Lease,
    MongoSettings,
    RuntimeSettings,
    S3Settings,
    SealingSettings,
    TimeLimit,
)

Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class SpeechSettings(msgspec.Struct, frozen=True):
    """The Whisper model and how it is run: `transcribe_slots` jobs at once, each in a process of its own on one thread."""

    whisper_model: str = "base"
    models_dir: Path | None = None
    whisper_hub_allowed: bool = False
    whisper_device: Literal["auto", "cpu", "cuda"] = "auto"
    whisper_beam_size: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    diarization: Literal["auto", "required", "off"] = "auto"
    diarization_threshold: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    diarization_fetch_allowed: bool = True
    diarization_segmentation_sha256: Sha256 | None = None
    diarization_voices_sha256: Sha256 | None = None
    transcribe_slots: Annotated[int, msgspec.Meta(ge=1)] = max(1, os.cpu_count() or 1)
    transcribe_lease_s: Lease = 30.0
    transcribe_time_limit_s: TimeLimit = 6 * 3600.0


class TranscriberSettings(msgspec.Struct, frozen=True):
    """Everything the transcriber needs."""

    mongo: MongoSettings
    kafka: KafkaSettings
    s3: S3Settings
    http: HttpSettings
    runtime: RuntimeSettings
    sealing: SealingSettings
    speech: SpeechSettings
    cloud: CloudSettings
