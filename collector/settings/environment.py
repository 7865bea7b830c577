"""The only reader of the environment: of `env:NAME`, so that no file holds a secret, and of overrides."""

import os
import re
from typing import Final

from collector.errors import BadSettings

_PREFIX: Final = "env:"
SHORTEST_KEY: Final = 16
"""Characters of a write key."""
_IN_A_HEADER: Final = re.compile(r"[\x21-\x7e]*")
"""The characters of a key. A header loses white space at its ends, and clients encode others in different ways."""


def variable_of(setting: str) -> str | None:
    """The NAME of `env:NAME`; None for any other text, which is the value itself."""
    return setting.removeprefix(_PREFIX) if setting.startswith(_PREFIX) else None


def read_value(where: str, setting: str) -> str:
    """The value of a setting, from the environment for `env:NAME`.

    Raises BadSettings, which begins with `where`, if the variable is not set or blank.
    """
    variable = variable_of(setting)
    if variable is None:
        return setting
    value = os.environ.get(variable, "")
    if not value.strip():
        raise BadSettings(f"{where}: expected {variable} to be set in the environment")
    return value


def read_key(where: str, setting: str) -> bytes:
    """The bytes of a key that `env:NAME` names. Raises BadSettings if there are fewer than 16 characters."""
    variable = variable_of(setting) or setting
    key = os.environ.get(variable, "")
    if len(key) < SHORTEST_KEY:
        raise BadSettings(f"{where}: expected at least {SHORTEST_KEY} characters in the environment's {variable}")
    return os.fsencode(key)


def read_header_key(where: str, setting: str) -> bytes:
    """The bytes of a key that requests present in a header, and that `env:NAME` names.

    Raises BadSettings as `read_key`, and for white space and characters that not every client sends alike. No message
    shows any part of it.
    """
    key = os.fsdecode(read_key(where, setting))
    if not _IN_A_HEADER.fullmatch(key):
        variable = variable_of(setting) or setting
        raise BadSettings(f"{where}: expected {variable} to hold printable ASCII without spaces, but {_wrong_in(key)}")
    return os.fsencode(key)


def _wrong_in(key: str) -> str:
    if key != key.strip():
        return "it begins or ends with white space; make the secret without a line break, as by `printf` or `echo -n`"
    return "it has other characters; make another key, as by `openssl rand -hex 16`"


def override_variables() -> dict[str, str]:
    """All variables of the environment, among which `read_overrides` finds its own."""
    return dict(os.environ)
