"""Which addresses we connect to: a customer's URL must not reach into the network we run in (contract A22).

Names are resolved once; every address found is checked; the connection goes to a checked address and nowhere else, so a name
that answers differently a moment later (DNS rebinding) gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[..., Sequence[tuple[Any, ...]]]  # as socket.getaddrinfo

LOOKUP_THREADS = 32  # a name server that does not answer holds a thread until it gives up

_IPV6_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # how hosts without IPv4 reach it: the last 32 bits are where it goes
_ALSO_REFUSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # public by its number, but the host agent of every machine at Azure
            "192.0.0.0/24",  # protocol assignments; one is a metadata service at Oracle
            "192.88.99.0/24",  # 6to4 relays
            "2001::/32",  # Teredo: carries an IPv4 address
            "2002::/16",  # 6to4: the same
        ),
    )
)


class AddressRefused(Exception):
    """The URL leads to an address that we do not connect to; the message says which."""


def is_allowed(address: Address) -> bool:
    """Say whether `address` is an ordinary one of the public internet; one that stands for an IPv4 address is judged as that."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
        if inner is not None:
            return is_allowed(inner)
        if address not in _IPV6_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _ALSO_REFUSED)


class Targets(AbstractResolver):
    """Resolves names for the HTTP client and refuses what it must; with `allow_private` everything is let through."""

    def __init__(self, *, allow_private: bool, lookup: Lookup = socket.getaddrinfo) -> None:
        self._allow_private = allow_private
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    def check_literal(self, url: URL) -> None:
        """Raise `AddressRefused` when the URL names an address that is refused; names are checked as they are resolved."""
        try:
            address = ipaddress.ip_address(url.host or "")
        except ValueError:
            return
        self._check(str(address))

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Return the addresses of `host`; one that is refused among them refuses them all."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._look_up, host, port, family, socket.SOCK_STREAM, socket.IPPROTO_TCP
        )
        results = [
            ResolveResult(
                hostname=host,
                host=str(sockaddr[0]),
                port=port,
                family=int(found_family),
                proto=int(proto),
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, _, proto, _, sockaddr in found
        ]
        for result in results:
            self._check(result["host"])
        return results

    async def close(self) -> None:
        """Let go of the threads; one that still waits for a name server ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _look_up(self, *asked: Any) -> Sequence[tuple[Any, ...]]:  # noqa: ANN401 - those of getaddrinfo
        try:
            return self._lookup(*asked)
        except OSError:
            socket.socket().close()  # raises that too many files are open where that is why: lookups say something else of it
            raise

    def _check(self, text: str) -> None:
        address = ipaddress.ip_address(text)
        if not self._allow_private and not is_allowed(address):
            raise AddressRefused(f"{address} is not a public address")
