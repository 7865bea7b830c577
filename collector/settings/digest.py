"""The digest of settings, by which logs and nodes can be compared."""

from hashlib import sha256
from typing import Final

import msgspec

from collector.settings.tables import Settings

_CHARACTERS: Final = 12


def settings_digest(settings: Settings) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of all settings with their defaults.

    It is that of what is in force, wherever it was set: comments and the order within a table do not count.
    The values of the variables that `env:NAME` names are not in it.
    """
    return sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()[:_CHARACTERS]
