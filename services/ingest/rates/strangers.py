"""Whoever shows no valid credential, by client address: how often a wrong one may be tried."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from services.ingest.refusals import RateLimitExceeded
from services.ingest.request_context import Standing
from shared.telemetry import metrics

_WINDOW_S = 60
_MOST_ADDRESSES = 10_000
_NETWORK_BITS = 64  # of an IPv6 address: one customer has the rest for itself


class Strangers:
    """Counts wrong credentials per address and minute, in this replica alone; the addresses unheard of for longest are forgotten.

    `proxies` is how many proxies of ours stand in front and append to `X-Forwarded-For`; what clients put there does not count.
    """

    def __init__(self, failures_per_minute: int, proxies: int = 0, clock: Callable[[], float] = time.time) -> None:
        self._limit, self._proxies, self._clock = failures_per_minute, proxies, clock
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def check(self, scope: Mapping[str, Any]) -> None:
        """Refuse to look at a credential that comes from where too many wrong ones came from; raises `RateLimitExceeded`."""
        standing = self.standing(scope)
        if standing.remaining > 0:
            return
        metrics.rate_limited_total.labels("failures").inc()
        raise RateLimitExceeded(
            f"this address may try {self._limit} credentials a minute that are not valid",
            standing=standing,
            retry_after_s=max(1, standing.resets_at - int(self._clock())),
        )

    def note_failure(self, scope: Mapping[str, Any]) -> None:
        """Count a credential that is not valid; a request that shows none tries nothing."""
        address = self._address(scope)
        minute, failures = self._present(address)
        self._failures[address] = minute, failures + 1
        self._failures.move_to_end(address)
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def standing(self, scope: Mapping[str, Any]) -> Standing:
        """Return how the client's address stands."""
        minute, failures = self._present(self._address(scope))
        return Standing(self._limit, max(0, self._limit - failures), (minute + 1) * _WINDOW_S)

    def _present(self, address: str) -> tuple[int, int]:
        minute = int(self._clock() // _WINDOW_S)
        counted = self._failures.get(address)
        return counted if counted is not None and counted[0] == minute else (minute, 0)

    def _address(self, scope: Mapping[str, Any]) -> str:
        peer = scope.get("client")
        address = str(peer[0]) if peer else ""
        if self._proxies:
            address = _forwarded(scope, self._proxies) or address
        return _network(address) if ":" in address else address


def _forwarded(scope: Mapping[str, Any], proxies: int) -> str:
    """Return the address that the outermost of our proxies saw; empty when the header does not go back that far."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    addresses = [part.strip() for part in ",".join(lines).split(",")]
    found = addresses[-proxies] if len(addresses) >= proxies else ""
    try:
        return str(ipaddress.ip_address(found))
    except ValueError:
        return ""


def _network(address: str) -> str:
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = found.ipv4_mapped  # what an IPv6 socket says of an IPv4 client
    return str(mapped or ipaddress.ip_network((found, _NETWORK_BITS), strict=False))
