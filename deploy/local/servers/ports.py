"""Free loopback ports."""

import random
import socket
import threading

HOST = "127.0.0.1"
_BELOW_EPHEMERAL = range(15_000, 32_000)  # no outgoing connection takes one of these by chance
_ours = _BELOW_EPHEMERAL
_given: set[int] = set()
_lock = threading.Lock()
_random = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nobody listens on and that this process was not given before."""
    found: list[int] = []
    with _lock:
        while len(found) < count:
            port = _random.choice(_ours)
            if port not in _given and is_free(port):
                _given.add(port)
                found.append(port)
    return found


def free_port() -> int:
    """Return one free port."""
    return free_ports(1)[0]


def keep_to(part: int, parts: int) -> None:
    """From now on give ports of one part only: processes with different parts are never given the same port."""
    global _ours  # noqa: PLW0603  # which ports are ours is the state of this module
    _ours = _BELOW_EPHEMERAL[part::parts]


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
