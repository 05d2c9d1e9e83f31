"""Which URLs a webhook may have."""

import ipaddress
from urllib.parse import urlsplit

from services.ingest.refusals import InvalidRequest

_LONGEST_LABEL = 63
_LOCAL_NAMES = ("localhost", ".localhost", ".local", ".internal")


def check_url(url: str, *, allow_private: bool) -> None:
    """Refuse what no webhook can or may be sent to.

    Without `allow_private` a URL must be https and must not name a private place; what a name resolves to is checked when
    something is sent.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise _bad_url("is not a URL") from error
    if not host or not _is_host(host) or any(character.isspace() or not character.isprintable() for character in url):
        raise _bad_url("is not a URL")
    if parts.scheme not in (("https", "http") if allow_private else ("https",)):
        raise _bad_url("must begin with https://")
    if parts.username is not None or parts.fragment:
        raise _bad_url("must not hold a user name or a fragment")
    if not allow_private and _is_private(host):
        raise _bad_url("must be publicly reachable")


def _is_host(host: str) -> bool:
    """Say whether it is an address, or may be a name; no name ends in a number: that is an address cut short, such as 127.1."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.removesuffix(".").split(".")
        return all(0 < len(label) <= _LONGEST_LABEL for label in labels) and not labels[-1].isdigit()
    return True


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        name = host.lower().rstrip(".")
        return "." not in name or name.endswith(_LOCAL_NAMES)


def _bad_url(why: str) -> InvalidRequest:
    return InvalidRequest(f"url {why}", param="url")
