"""The address of the client behind trusted proxies, pure, and the part of it that may be stored."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, Literal

from msgspec import Struct

Networks = tuple[IPv4Network | IPv6Network, ...]

_CACHED_ADDRESSES: Final = 4096
_ADDRESS: Final = re.compile(r'"?(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)|([0-9a-fA-F:]+:[0-9a-fA-F:.]+))(?::\d{1,5})?"?')
"""An address as proxies write it: quoted or not, IPv6 in brackets or not, with or without a port."""
_MOST_PAIRS: Final = 8
_MOST_HOPS: Final = 32
"""More proxies than there are between a client and us. Reading one takes 1 us, and a header has room for 4,000."""
_LONGEST_HOP: Final = 64
"""Longer than any address. For longer texts, the time of the pattern grows with the square of the length."""
_V4_BITS: Final = 24
_V6_BITS: Final = 48


class Client(Struct, frozen=True, gc=False):
    """The client's address, if known, and whether the client itself used HTTPS."""

    ip: str | None
    is_https: bool


def client_of(peer: str | None, scheme: str, headers: list[tuple[bytes, bytes]], trusted: Networks) -> Client:
    """The client that sent a request with these headers over a connection from `peer`.

    Only trusted proxies are believed: the client is the first address from the right that is not a trusted proxy's.
    Malformed headers are ignored, and so are two that contradict each other, because one was not the proxy's.
    """
    if peer is None or not trusted or not is_trusted(peer, trusted):
        return Client(peer, scheme == "https")
    forwarded = [_pairs(element) for element in _last_elements(headers, b"forwarded")]
    listed = _last_elements(headers, b"x-forwarded-for")
    addresses = {
        address
        for hops in ([pairs.get("for", "") for pairs in forwarded], listed)
        if hops and (address := _first_untrusted(hops, trusted))
    }
    protocols = [pairs["proto"] for pairs in forwarded if "proto" in pairs]
    protocols = protocols or _last_elements(headers, b"x-forwarded-proto")
    is_https = protocols[-1].strip('"').lower() == "https" if protocols else scheme == "https"
    return Client(addresses.pop() if len(addresses) == 1 else peer, is_https)


def kept_address(ip: str | None, rule: Literal["full", "truncate", "drop"]) -> str | None:
    """The part of an address that the property allows to be stored; None if it must be truncated but can't be."""
    if ip is None or rule == "drop":
        return None
    return ip if rule == "full" else _truncated(ip) if len(ip) <= _LONGEST_HOP else None


@lru_cache(_CACHED_ADDRESSES)
def _truncated(ip: str) -> str | None:
    try:
        address = _address(ip)
    except ValueError:
        return None
    bits = _V4_BITS if address.version == 4 else _V6_BITS  # noqa: PLR2004 - IPv4
    spare = address.max_prefixlen - bits
    return str(type(address)(int(address) >> spare << spare))  # takes a third of the time of `ip_network`


@lru_cache(_CACHED_ADDRESSES)
def is_trusted(ip: str, trusted: Networks) -> bool:
    """Whether an address is a trusted proxy's."""
    try:
        address = _address(ip)
    except ValueError:
        return False
    return any(address in network for network in trusted)


def _address(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _first_untrusted(hops: list[str], trusted: Networks) -> str | None:
    """The last hop that is not a trusted proxy; the first hop if all are trusted; None if a hop is malformed."""
    text = ""
    for hop in reversed(hops):
        found = _ADDRESS.fullmatch(hop) if len(hop) <= _LONGEST_HOP else None
        if not found:
            return None
        try:
            text = str(_address(found[1] or found[2] or found[3]))
        except ValueError:
            return None
        if not is_trusted(text, trusted):
            return text
    return text


def _last_elements(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """The last elements of a header, which may come several times with a list in each. Earlier ones stay joined."""
    values = [value.decode("latin-1") for header, value in headers if header == name]
    return [element.strip() for element in ",".join(values).rsplit(",", _MOST_HOPS)] if values else []


def _pairs(element: str) -> dict[str, str]:
    """The `name=value` pairs of one element of `Forwarded`."""
    pairs = (pair.partition("=") for pair in element.split(";", _MOST_PAIRS)[:_MOST_PAIRS])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
