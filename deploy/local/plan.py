"""What a local stack is made of: which servers, on which ports, with which secrets."""

import base64
import secrets
from typing import Literal

import msgspec

from deploy.local.servers.ports import free_ports, is_free
from deploy.local.services import SERVICES

Broker = Literal["memory", "kafka"]
Store = Literal["seaweedfs", "minio"]
_PORT_NAMES = ("mongo", "s3", "broker", *SERVICES)


def _new_sealing_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Kept over restarts, so that URLs, keys and data stay valid."""

    broker: Broker = "memory"
    s3: Store = "seaweedfs"
    ports: dict[str, int]
    admin_token: str
    signing_secret: str
    s3_secret_key: str
    sealing_key: str = msgspec.field(default_factory=_new_sealing_key)


def new_plan(broker: Broker = "memory", s3: Store = "seaweedfs") -> Plan:
    """Choose free ports and new secrets."""
    return Plan(
        broker=broker,
        s3=s3,
        ports=dict(zip(_PORT_NAMES, free_ports(len(_PORT_NAMES)), strict=True)),
        admin_token=secrets.token_urlsafe(24),
        signing_secret=secrets.token_urlsafe(32),
        s3_secret_key=secrets.token_hex(20),
    )


def renewed(plan: Plan, broker: Broker, s3: Store) -> Plan:
    """Return `plan` for these servers, with other ports where somebody else listens by now."""
    spare = iter(free_ports(len(plan.ports)))
    ports = {name: port if is_free(port) else next(spare) for name, port in plan.ports.items()}
    return msgspec.structs.replace(plan, broker=broker, s3=s3, ports=ports)
