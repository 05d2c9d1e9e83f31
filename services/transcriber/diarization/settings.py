"""How the engines run; apart from them, so that the service can say it without loading them."""

from pathlib import Path

import msgspec


class SherpaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the two models lie, and how they are run.

    `threshold` is the distance (1 - cosine) from which two voices are two people: lower finds more speakers, higher fewer.
    No stretch is longer than `stretch_s`, unless a single piece is.
    """

    segmentation: Path
    voices: Path
    threshold: float = 0.5
    threads: int = 1
    stretch_s: float = 900.0
