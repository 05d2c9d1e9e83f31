"""What the transcriber reads from the environment."""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.settings import HttpSettings, KafkaSettings, MongoSettings, RuntimeSettings, S3Settings


class SpeechSettings(msgspec.Struct, frozen=True):
    """The Whisper model and how it is run: `transcribe_slots` jobs at once, each in a process of its own on one thread."""

    whisper_model: str = "base"
    models_dir: Path | None = None
    whisper_hub_allowed: bool = False
    whisper_device: Literal["auto", "cpu", "cuda"] = "auto"
    whisper_beam_size: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    transcribe_slots: Annotated[int, msgspec.Meta(ge=1)] = max(1, os.cpu_count() or 1)
    transcribe_lease_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    transcribe_time_limit_s: Annotated[float, msgspec.Meta(gt=0)] = 6 * 3600.0


class TranscriberSettings(msgspec.Struct, frozen=True):
    """Everything the transcriber needs."""

    mongo: MongoSettings
    kafka: KafkaSettings
    s3: S3Settings
    http: HttpSettings
    runtime: RuntimeSettings
    speech: SpeechSettings
