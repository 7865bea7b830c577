"""Refused events without the write keys in them, pure: SDKs send keys inside of bodies, and dead letters have none."""

import re
from collections.abc import Generator, Iterable, Sequence
from functools import partial
from typing import Final
from urllib.parse import quote

from collector.dead_letters.writer import Refused
from collector.long_work import sliced
from collector.settings.environment import SHORTEST_KEY
from collector.settings.tables import LARGEST_EVENT

_JSON: Final = (b"{", b"[")
_KEYS: Final = {
    name: re.compile(name + rb'\s{0,9}:\s{0,9}"[^":]{0,99}:[^"]{0,999}"')
    for name in (b'"writeKey"', b'"api_key"', b'"token"', b'"aid"')
}
"""Members that have `ID:SECRET` in some dialect, with a secret that may be another one than that of the request."""


def without_secrets(refused: Sequence[Refused], secrets: Iterable[str]) -> Generator[None, None, list[Refused]]:
    """The refused events without these secrets; yields when other requests may run.

    Shorter ones than a write key are none of ours.
    """
    forms = {form for secret in secrets if len(secret) >= SHORTEST_KEY for form in _forms_of(secret)}
    return (yield from sliced(partial(_without, secrets=forms), refused))


def is_readable(body: bytes) -> bool:
    """Whether a write key in a refused body can be found: in base64 or compressed it can't."""
    return body.lstrip()[:1] in _JSON


def _without(event: Refused, secrets: Iterable[bytes]) -> Refused:
    raw = event.raw
    for secret in secrets:
        raw = raw.replace(secret, b"")
    if len(raw) <= LARGEST_EVENT:
        for name, pattern in _KEYS.items():
            if name in raw:
                raw = pattern.sub(name + b':""', raw)
    return event._replace(raw=raw)


def _forms_of(secret: str) -> set[bytes]:
    """A secret as it may stand in JSON, where some clients escape the slash, and in a query."""
    return {secret.encode(), secret.replace("/", "\\/").encode(), quote(secret, safe="").encode()}
