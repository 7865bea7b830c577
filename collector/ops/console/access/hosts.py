"""The hosts by which a request may name this node, pure.

DNS rebinding makes a foreign page's own name lead to this address, so that the browser takes both for one site. It
needs a name. So IP addresses are safe, and names must be listed.
"""

import re
from collections.abc import Collection, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_.-]{1,253}))(?::[0-9]{1,5})?")
_LOOPBACK: Final = "localhost"


def is_own_host(values: Sequence[str], names: Collection[str]) -> bool:
    """Whether the values of `Host`, of which there must be one, name this node. `names` are in small letters."""
    match = _HOST.fullmatch(values[0]) if len(values) == 1 else None
    if match is None:
        return False
    name = (match[2] or "").lower()
    return name == _LOOPBACK or name in names or _is_address(match[1], match[2])


def _is_address(six: str | None, four: str | None) -> bool:
    """Parse the whole: a check of the beginning would let `127.0.0.1.evil.example` pass."""
    try:
        IPv6Address(six) if six else IPv4Address(four or "")
    except AddressValueError:
        return False
    return True
