"""What the stitcher reads from the environment."""

import os
from typing import Annotated

import msgspec

from shared.settings import HttpSettings, KafkaSettings, Lease, MongoSettings, RuntimeSettings, S3Settings, TimeLimit


class StitchSettings(msgspec.Struct, frozen=True):
    """How much the stitcher does at once: `stitch_slots` recordings, each in a process of its own."""

    stitch_slots: Annotated[int, msgspec.Meta(ge=1)] = max(1, os.cpu_count() or 1)
    stitch_lease_s: Lease = 30.0
    stitch_time_limit_s: TimeLimit = 3 * 3600.0


class StitcherSettings(msgspec.Struct, frozen=True):
    """Everything the stitcher needs."""

    mongo: MongoSettings
    kafka: KafkaSettings
    s3: S3Settings
    http: HttpSettings
    runtime: RuntimeSettings
    stitch: StitchSettings
