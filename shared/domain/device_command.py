"""What a device is asked to do: the command, and its state table (contract section 13)."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from shared.domain.tenant import Mode, Tenant
from shared.domain.transition import check_move

MAX_PENDING = 50
"""As many commands may wait for one device."""


class CommandType(StrEnum):
    """What a device can be asked to do."""

    START_RECORDING = "start_recording"
    STOP_RECORDING = "stop_recording"
    TRIGGER_UPLOAD = "trigger_upload"
    FACTORY_RESET = "factory_reset"


class CommandStatus(StrEnum):
    """Where a command stands."""

    PENDING = "pending"
    DELIVERED = "delivered"  # handed out in the answer to a heartbeat
    EXECUTED = "executed"
    FAILED = "failed"
    EXPIRED = "expired"  # nothing was heard of it in time
    CANCELLED = "cancelled"


FOLLOWS: Mapping[CommandStatus, frozenset[CommandStatus]] = {
    # A phone may carry the command to the device past us, so that its outcome is the first thing we hear of it.
    CommandStatus.PENDING: frozenset(CommandStatus) - {CommandStatus.PENDING},
    CommandStatus.DELIVERED: frozenset({CommandStatus.EXECUTED, CommandStatus.FAILED, CommandStatus.EXPIRED}),
    CommandStatus.EXECUTED: frozenset(),
    CommandStatus.FAILED: frozenset(),
    # A device that tells late did it all the same.
    CommandStatus.EXPIRED: frozenset({CommandStatus.EXECUTED, CommandStatus.FAILED}),
    CommandStatus.CANCELLED: frozenset(),
}
"""Which status may follow which."""


def sources_of(status: CommandStatus) -> frozenset[CommandStatus]:
    """Return the statuses that `status` may follow."""
    return frozenset(source for source, targets in FOLLOWS.items() if status in targets)


class DeviceCommand(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """A command as it is kept; it is for the binding of its `binding_generation` and no other.

    `end_user_id` is to whom the device was bound then: what it tells goes when that end user is deleted. `idempotency_key` is
    unique within the device; `ttl_s` is the time it was given, which ends at `expires_at`.
    """

    id: str
    project_id: str
    mode: Mode
    device_id: str
    end_user_id: str | None = None
    binding_generation: int
    type: CommandType
    status: CommandStatus = CommandStatus.PENDING
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    idempotency_key: str | None = None
    ttl_s: int
    result: dict[str, Any] | None = None
    error: str | None = None
    created_at: datetime
    expires_at: datetime
    delivered_at: datetime | None = None
    executed_at: datetime | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose command it is."""
        return Tenant(self.project_id, self.mode)

    def check_move(self, wanted: CommandStatus) -> None:
        """Raise `TransitionRefused` unless it may become `wanted` now."""
        check_move(FOLLOWS, self.id, self.status, wanted)
