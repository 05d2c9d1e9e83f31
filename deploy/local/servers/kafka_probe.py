"""Ask a broker, in Kafka's own protocol, whether it serves clients."""

import socket
import struct

from deploy.local.servers.server import NotYet

_METADATA, _VERSION, _CORRELATION, _CLIENT = 3, 1, 7, b"probe"
_TIMEOUT_S = 2.0


def brokers_in_metadata(host: str, port: int) -> int:
    """Return how many brokers the one at `host:port` knows, itself included; `NotYet` when the answer is not one."""
    body = struct.pack(">hhih", _METADATA, _VERSION, _CORRELATION, len(_CLIENT)) + _CLIENT + struct.pack(">i", 0)
    with socket.create_connection((host, port), _TIMEOUT_S) as connection, connection.makefile("rb") as answers:
        connection.sendall(struct.pack(">i", len(body)) + body)
        answer = answers.read(12)
    if len(answer) < 12:  # noqa: PLR2004  # length, correlation id, number of brokers: four bytes each
        raise NotYet("the broker closed the connection")
    _, correlation, count = struct.unpack(">iii", answer)
    if correlation != _CORRELATION:
        raise NotYet("the answer is not Kafka's protocol")
    return int(count)


def check_broker(host: str, port: int) -> None:
    """Return when the broker knows itself, which is when clients can use it."""
    if brokers_in_metadata(host, port) < 1:
        raise NotYet("the broker has not joined its cluster")
