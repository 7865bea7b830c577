"""Wrong tokens by the address of their sender, pure: above a number a minute, further ones are not looked at."""

from ipaddress import IPv6Address, ip_address
from typing import Final

_MINUTE_MS: Final = 60_000
_MOST_ADDRESSES: Final = 1024
"""The oldest one is forgotten first, so that a sender with many addresses can't fill the memory."""
_SITE_BITS: Final = 64
"""One site of IPv6 has all addresses of a /64, so they count as one."""


class WrongTokens:
    """The last wrong tokens of each address. All times are Unix milliseconds."""

    def __init__(self, most: int) -> None:
        """`most`: different wrong tokens a minute."""
        self._most = most
        self._failures: dict[str, dict[bytes, int]] = {}
        """When each was tried first in the last minute, by the digest of the token."""

    def wait_seconds(self, address: str, now_ms: int) -> int:
        """Seconds until the address may try again, at least 1; 0 if it may now."""
        recent = [*self._recent(sender_of(address), now_ms).values()]
        return 0 if len(recent) < self._most else -((now_ms - recent[0] - _MINUTE_MS) // 1000)

    def add(self, address: str, digest: bytes, now_ms: int) -> None:
        """Count a wrong token. The same one counts once: a program repeats an old one, and guesses nothing by that."""
        sender = sender_of(address)
        recent = self._recent(sender, now_ms)
        recent.setdefault(digest, now_ms)
        self._failures.pop(sender, None)
        if len(self._failures) >= _MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        self._failures[sender] = recent

    def _recent(self, sender: str, now_ms: int) -> dict[bytes, int]:
        tried = self._failures.get(sender, {})
        return {digest: tried_ms for digest, tried_ms in tried.items() if 0 <= now_ms - tried_ms < _MINUTE_MS}


def sender_of(address: str) -> str:
    """The address, or the network of an IPv6 address. Of an IPv4 address in IPv6 the former counts."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> _SITE_BITS << _SITE_BITS))
