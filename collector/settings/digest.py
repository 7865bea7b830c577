"""The digest of settings, by which an operator sees whether two nodes, or two starts, have the same."""

import hashlib
from typing import Final

import msgspec

from collector.settings.tables import Settings

_DIGITS: Final = 12


def settings_digest(settings: Settings) -> str:
    """The first 12 hexadecimal digits of SHA-256 of all settings as used, defaults included."""
    return hashlib.sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()[:_DIGITS]
