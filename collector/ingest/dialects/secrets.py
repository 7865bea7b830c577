"""Refused events without the write keys in them, pure: SDKs send keys inside of bodies, and dead letters have none."""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from collector.dead_letters.writer import Refused
from collector.settings.environment import SHORTEST_KEY

_JSON: Final = (b"{", b"[")
_KEY: Final = re.compile(rb'("(?:writeKey|api_key|\$?token|aid)"\s*:\s*)"[^":]*:[^"]*"')
"""A member that has `ID:SECRET` in some dialect, with a secret that may be another one than that of the request."""


def without_secrets(refused: Sequence[Refused], secrets: Iterable[str]) -> list[Refused]:
    """The refused events without these secrets. Shorter ones than a write key are none of ours."""
    forms = {form for secret in secrets if len(secret) >= SHORTEST_KEY for form in _forms_of(secret)}
    return [each._replace(raw=_without(each.raw, forms)) for each in refused]


def is_readable(body: bytes) -> bool:
    """Whether a write key in a refused body can be found: in base64 or compressed it can't."""
    return body.lstrip()[:1] in _JSON


def _without(raw: bytes, secrets: Iterable[bytes]) -> bytes:
    for secret in secrets:
        raw = raw.replace(secret, b"")
    return _KEY.sub(rb'\1""', raw)


def _forms_of(secret: str) -> set[bytes]:
    """A secret as it may stand in JSON, where some clients escape the slash, and in a query."""
    return {secret.encode(), secret.replace("/", "\\/").encode(), quote(secret, safe="").encode()}
