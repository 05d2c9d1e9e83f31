"""Which addresses we connect to."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from services.webhooks.targets import AddressRefused, Targets, is_allowed

REFUSED = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",  # metadata at Alibaba
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # host agent at Azure
    "169.254.169.254",  # metadata nearly everywhere
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # metadata at Oracle
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",  # metadata at AWS
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2606:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("text", REFUSED)
def test_no_address_inside_a_network_is_connected_to(text):
    assert not is_allowed(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ALLOWED)
def test_public_addresses_are_connected_to(text):
    assert is_allowed(ipaddress.ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_the_same_however_it_is_written(address):
    assert is_allowed(ipaddress.ip_address(f"::ffff:{address}")) == is_allowed(address)
    assert is_allowed(ipaddress.IPv6Address(int(ipaddress.ip_address("64:ff9b::")) + int(address))) == is_allowed(address)


@given(st.ip_addresses())
def test_nothing_is_allowed_that_is_private_loopback_link_local_or_multicast(address):
    embedded = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    if not embedded and (address.is_private or address.is_loopback or address.is_link_local or address.is_multicast):
        assert not is_allowed(address)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "https://[::1]:8443/x", "http://[::ffff:10.0.0.1]/", "http://169.254.169.254/latest"]
)
def test_an_address_in_a_url_is_checked_as_well(url):
    with pytest.raises(AddressRefused):
        Targets(allow_private=False).check_literal(URL(url))
    Targets(allow_private=True).check_literal(URL(url))


def answering(*addresses):
    return lambda host, port, *_: [
        (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        for address in addresses
    ]


async def test_a_name_is_resolved_to_checked_addresses():
    targets = Targets(allow_private=False, lookup=answering("93.184.216.34", "2606:4700::1111"))
    found = await targets.resolve("example.com", 443)
    assert [result["host"] for result in found] == ["93.184.216.34", "2606:4700::1111"]
    assert {result["hostname"] for result in found} == {"example.com"}
    await targets.close()


@pytest.mark.parametrize("inside", ["127.0.0.1", "::1", "10.0.0.8", "169.254.169.254", "::ffff:192.168.1.1"])
async def test_one_address_inside_refuses_the_name(inside):
    targets = Targets(allow_private=False, lookup=answering("93.184.216.34", inside))
    with pytest.raises(AddressRefused):
        await targets.resolve("sneaky.example", 443)
    await targets.close()


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
async def test_other_ways_to_write_loopback_lead_nowhere(host):
    targets = Targets(allow_private=False)
    with pytest.raises((AddressRefused, OSError)):
        await targets.resolve(host, 80)
    await targets.close()
