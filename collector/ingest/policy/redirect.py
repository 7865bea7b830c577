"""The targets of redirects, pure: parse, check, and rebuild the URL from its parsed parts, never from the sent text."""

import inspect
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import blake2b
from hmac import compare_digest
from math import inf
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from collector.errors import BadRedirect, Fault, FieldCode
from wal.tools.select import parse_time

_HOST: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_LONGEST_HOST: Final = 253
"""The limit of the DNS. `is_listed` takes the square of the length."""
_LONGEST_AUTHORITY: Final = _LONGEST_HOST + len(":65535")
_urlsplit: Final[Callable[[str], SplitResult]] = inspect.unwrap(urlsplit)
"""Without its cache, which would keep 128 URLs of clients."""
_AUTHORITY: Final = re.compile(r"[^/?#]*//([^/?#]*)")
_NEVER_IN_A_URL: Final = re.compile(r"[\x00-\x1f\x7f\\]|^ | $")
_DEFAULT_SAFE: Final = "/?#[]@!$&'()*+,;=:%-._~|"
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_YEAR_10000: Final = 253_402_300_800
"""In Unix seconds. `datetime` ends before it."""


class Signer:
    """Signs the targets of redirects, so that a click may go to hosts that no property lists."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is a key of at most 64 bytes, the same on all nodes."""
        self._mac = blake2b(key=secret, digest_size=15, person=b"tracklog link")

    def sign(self, url: str, portal_id: int, prop_id: int, expires: int | None = None) -> str:
        """The signature that lets a property redirect to a URL, for ever or until `expires`, in Unix seconds.

        Returns `mac`, 20 characters, or `expires.mac`. Neither needs an escape in a query.
        """
        return self._sign(url, portal_id, prop_id, "" if expires is None else str(expires))

    def valid_until(self, url: str, portal_id: int, prop_id: int, signature: str) -> float | None:
        """The Unix seconds when a signature expires, `inf` if never; None if it does not match URL and property."""
        expires = signature.rpartition(".")[0]
        if expires and not (expires.isascii() and expires.isdecimal()):  # else a colon could move into the URL
            return None
        signed = self._sign(url, portal_id, prop_id, expires)
        if not compare_digest(signed.encode(), signature.encode("utf-8", "surrogatepass")):
            return None
        return float(expires) if expires else inf

    def _sign(self, url: str, portal_id: int, prop_id: int, expires: str) -> str:
        keyed = self._mac.copy()
        keyed.update(f"{portal_id}:{prop_id}:{expires}:{url}".encode("utf-8", "surrogatepass"))
        mac = urlsafe_b64encode(keyed.digest()).decode()
        return f"{expires}.{mac}" if expires else mac


def has_expiry(signature: str) -> bool:
    """Whether a signature, if valid, expires."""
    return "." in signature


def parse_expiry(text: str, now: int) -> int:
    """The Unix seconds of a time in the forms that `parse_time` takes, or of `30d` or `12h` after `now`.

    Raises ValueError.
    """
    if duration := _DURATION.fullmatch(text):
        expires = now + int(duration[1]) * _SECONDS[duration[2]]
    else:
        try:
            expires = parse_time(text, now * 1000) // 1000
        except ValueError:
            raise ValueError(f"{text!r} is not a time; expected e.g. 30d, 12h or 2026-12-31T00:00Z") from None
    if not now < expires < _YEAR_10000:
        raise ValueError(f"{text!r} is not in the future, or after the year 9999; expected e.g. 30d")
    return expires


def location(url: str, hosts: frozenset[str], *, is_signed: bool = False) -> bytes:
    """The `location` header for `url`, if it goes to one of `hosts`, or is signed, over http or https.

    Raises BadRedirect.
    """
    if not url:
        raise _refused(FieldCode.MISSING, "redirect_url is missing")
    if _NEVER_IN_A_URL.search(url):
        raise _malformed("redirect_url has a space, a control character or a backslash")
    if (found := _AUTHORITY.match(url)) and not (found[1].isascii() and len(found[1]) <= _LONGEST_AUTHORITY):
        # `urlsplit` takes the square of the length of a host that is not ASCII
        raise _malformed(f"redirect_url has a host that is not ASCII, or of more than {_LONGEST_HOST} characters")
    try:
        parts = _urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _malformed("redirect_url is not a URL") from error
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise _malformed("redirect_url must begin with http:// or https://")
    host = parts.netloc.lower() if port is None else parts.netloc.lower().removesuffix(f":{port}")
    if not _HOST.fullmatch(host) or not (is_signed or is_listed(host, hosts)):
        raise _refused(FieldCode.NOT_ALLOWED, "redirect_url leads to a host that this property does not list")
    rest = url[len(parts.scheme) + len("://") + len(parts.netloc) :]
    authority = host if port is None else f"{host}:{port}"
    return f"{parts.scheme}://{authority}{quote(rest, safe=_DEFAULT_SAFE)}".encode("ascii")


def _malformed(message: str) -> BadRedirect:
    return _refused(FieldCode.MALFORMED, message)


def _refused(code: FieldCode, message: str) -> BadRedirect:
    return BadRedirect(message, (Fault("redirect_url", code, message),))


def is_listed(host: str, hosts: frozenset[str]) -> bool:
    """Whether `host` is in the list, or is a subdomain of a `*.` entry."""
    if host in hosts:
        return True
    labels = host.split(".")
    return any(f"*.{'.'.join(labels[at:])}" in hosts for at in range(1, len(labels)))
