"""Masks the values of settings that may be secret, for people who look at the settings. Pure.

It masks too much rather than too little. `env:NAME` is shown, since it names a variable, and is never resolved.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from collector.settings.environment import variable_of
from collector.ship.credentials import MASK, is_secret_name, masked_path

_MAY_BE_SECRET: Final = re.compile(r"auth|config|cred|pass|pwd|secret|sig|token|(api|access).?key|^(code|p|pw)$")
_PARAMETER: Final = re.compile(r"([?&;])([^?&;#=]+)=([^&;#]+)")
_PATH: Final = re.compile(r"^(https?://[^/?#]*)([^?#]*)")
_TEMPLATE: Final = re.compile(r"(\{\w+\})+")


def masked(setting: str, value: Any) -> Any:
    """The value of a setting, by the setting's name without its table.

    Headers are masked whatever their names, because anyone names them. Of a URL its user, its password, and the parts
    of its path and the query parameters that may be secret are masked.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple):
        return [masked(setting, element) for element in value]
    if isinstance(value, Mapping):
        return {name: _item(setting, name, text) for name, text in value.items()}
    return value


def _item(table: str, name: str, text: str) -> str:
    if variable_of(text) is not None:
        return text
    return MASK if table == "headers" or _is_secret(name) else _text(text)


def _text(text: str) -> str:
    front, at, end = text.rpartition("@")
    if at:  # a password may have an `@` too
        scheme, separator, _ = front.partition("://")
        text = f"{scheme}{separator}{MASK}@{end}" if separator else f"{MASK}@{end}"
    return _PARAMETER.sub(_parameter, _PATH.sub(lambda match: match[1] + masked_path(match[2]), text))


def _parameter(match: re.Match[str]) -> str:
    before, name, value = match.groups()
    is_shown = not _is_secret(unquote(name)) or _TEMPLATE.fullmatch(value)
    return match[0] if is_shown else f"{before}{name}={MASK}"


def _is_secret(name: str) -> bool:
    return is_secret_name(name) or bool(_MAY_BE_SECRET.search(name.lower()))
