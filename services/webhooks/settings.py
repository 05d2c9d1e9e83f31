"""What the webhook stage can be told."""

import ssl
from pathlib import Path
from typing import Annotated

import msgspec

from shared.settings import HttpSettings, KafkaSettings, KeptDays, Lease, MongoSettings, RuntimeSettings, SealingSettings

Pause = Annotated[float, msgspec.Meta(ge=0, le=604_800)]
Positive = Annotated[float, msgspec.Meta(gt=0)]

LEASE_MARGIN_S = 2  # the least time for recording an attempt after it ended …
USUAL_LEASE_MARGIN_S = 15  # … and what is usual: a MongoDB that fails over is waited for


class WebhookSettings(msgspec.Struct, frozen=True):
    """How deliveries are made; the defaults are those of the contract (A20, A22)."""

    webhooks_schedule_s: tuple[Pause, ...] = (0, 60, 300, 1800, 7200, 28800)  # the pause before each attempt
    webhooks_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 30
    webhooks_test_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10  # never longer than the other
    webhooks_allow_private: bool = False  # also connect to addresses inside the network we run in
    webhooks_header_prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9-]*\Z")] = "X-Bota"
    webhooks_ca_file: Path | None = None  # certificate authorities to trust beside the system's
    webhooks_disable_after_s: Positive = 432_000  # five days without one success
    webhooks_slots: Annotated[int, msgspec.Meta(ge=1)] = 128  # attempts at once
    webhooks_slots_per_endpoint: Annotated[int, msgspec.Meta(ge=1)] = 8
    webhooks_poll_s: Positive = 0.5  # between looks for deliveries that are due
    webhooks_reconcile_s: Positive = 3  # between looks for events that the broker lost
    webhooks_lease_s: Lease | None = None  # how long a dead worker's claims stay its own; None: a little over the time limit
    webhooks_keep_days: KeptDays = 30  # deliveries and their attempts

    def __post_init__(self) -> None:
        """Refuse a late schedule, a lease that an attempt could outlast, and authorities that cannot be read."""
        if not self.webhooks_schedule_s or self.webhooks_schedule_s[0] != 0:
            raise ValueError("EARWITNESS_WEBHOOKS_SCHEDULE_S must begin with 0: the first attempt is made at once")
        if self.lease_s < self.webhooks_timeout_s + LEASE_MARGIN_S:
            raise ValueError(f"EARWITNESS_WEBHOOKS_LEASE_S must be {LEASE_MARGIN_S} s above EARWITNESS_WEBHOOKS_TIMEOUT_S")
        try:
            if self.webhooks_ca_file is not None:
                ssl.create_default_context(cafile=self.webhooks_ca_file)
        except OSError as error:  # of a file that is no certificate, too
            raise ValueError("EARWITNESS_WEBHOOKS_CA_FILE names no file of certificates that can be read") from error

    @property
    def lease_s(self) -> float:
        """The lease of a claim."""
        return self.webhooks_lease_s or self.webhooks_timeout_s + USUAL_LEASE_MARGIN_S


class Settings(msgspec.Struct, frozen=True):
    """Everything this service reads from the environment."""

    mongo: MongoSettings
    kafka: KafkaSettings
    http: HttpSettings
    runtime: RuntimeSettings
    sealing: SealingSettings
    webhooks: WebhookSettings
