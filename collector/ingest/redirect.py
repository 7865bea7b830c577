"""Where a click may lead, pure: parse, check, and give back what was parsed, never what was sent."""

import re
from base64 import urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest
from typing import Final
from urllib.parse import quote, urlsplit

from collector.errors import BadRedirect

_HOST: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_NEVER_IN_A_URL: Final = re.compile(r"[\x00-\x1f\x7f\\]|^ | $")
_DEFAULT_SAFE: Final = "/?#[]@!$&'()*+,;=:%-._~|"


class Signer:
    """Signs the targets of redirects, so that they may lead to hosts that no property lists."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is a key of at most 64 bytes, the same on all nodes."""
        self._mac = blake2b(key=secret, digest_size=15, person=b"tracklog link")

    def sign(self, url: str) -> str:
        """The signature of a URL: 20 characters that need no escape in a query."""
        keyed = self._mac.copy()
        keyed.update(url.encode("utf-8", "surrogatepass"))
        return urlsafe_b64encode(keyed.digest()).decode()

    def is_signed(self, url: str, signature: str) -> bool:
        """Whether a signature is that of the URL."""
        return compare_digest(self.sign(url).encode(), signature.encode("utf-8", "surrogatepass"))


def location(url: str, hosts: frozenset[str], *, is_signed: bool = False) -> bytes:
    """The `location` header for `url`, if it leads to one of `hosts` over http or https, or is signed.

    Raises BadRedirect.
    """
    if _NEVER_IN_A_URL.search(url):
        raise BadRedirect("redirect_url has a space, a control character or a backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadRedirect("redirect_url is no URL") from error
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadRedirect("redirect_url must begin with http:// or https://")
    host = parts.netloc.lower() if port is None else parts.netloc.lower().removesuffix(f":{port}")
    if not _HOST.fullmatch(host) or not (is_signed or is_listed(host, hosts)):
        raise BadRedirect("redirect_url leads to a host that this property does not list")
    rest = url[len(parts.scheme) + len("://") + len(parts.netloc) :]
    authority = host if port is None else f"{host}:{port}"
    return f"{parts.scheme}://{authority}{quote(rest, safe=_DEFAULT_SAFE)}".encode("ascii")


def is_listed(host: str, hosts: frozenset[str]) -> bool:
    """Whether `host` is in the list, or below one of its `*.` entries."""
    if host in hosts:
        return True
    labels = host.split(".")
    return any(f"*.{'.'.join(labels[at:])}" in hosts for at in range(1, len(labels)))
