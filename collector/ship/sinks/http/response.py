"""The response of a receiver, pure: why it refused, when to retry, which event it expects next."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

_REASON_CHARACTERS: Final = 200
_GOOD: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_LONGEST_WAIT_SECONDS: Final = 3600.0
_SECONDS: Final = re.compile(r"\s*([0-9]+)\s*\Z")
_MARK: Final = re.compile(rb'\s*+(?:("?)([0-9]{1,16})(?: ([0-9a-f]{8}))?\1)?\s*\Z')  # sequences stay below 2^53


class ReceiverResponse(NamedTuple):
    """A response: status, headers by case-insensitive name, and the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the receiver took the batch."""
        return self.status in _GOOD

    @property
    def is_redirect(self) -> bool:
        """Whether it redirects."""
        return self.status in _REDIRECTS


def reason(body: bytes, secrets: Mapping[str, str]) -> str:
    """The first printable characters of a body, on one line; a secret that it echoes is replaced by its name."""
    text = body.decode(errors="replace")
    text = " ".join("".join([char if char.isprintable() else " " for char in text]).split())
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, secrets[secret])
    return text[:_REASON_CHARACTERS]


def wait_seconds(headers: Mapping[str, str], now: float) -> float:
    """The seconds of `Retry-After`, at most an hour; 0 without one. `now` is Unix time, in place of `Date`."""
    value = headers.get("Retry-After", "")
    if match := _SECONDS.match(value):
        return min(float(match[1]), _LONGEST_WAIT_SECONDS)
    until = _timestamp(value)
    if until is None:
        return 0.0
    since = _timestamp(headers.get("Date", ""))  # the receiver's own clock, since ours may differ
    return min(max(until - (now if since is None else since), 0.0), _LONGEST_WAIT_SECONDS)


def expected_next(body: bytes) -> tuple[int, str] | None:
    """The sequence in a body, and the chain after it if there is one; JSON may have quoted both together.

    Sequence 0 for an empty body, None for anything else.
    """
    match = _MARK.match(body)
    return None if match is None else (int(match[2] or 0), (match[3] or b"").decode())


def _timestamp(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
