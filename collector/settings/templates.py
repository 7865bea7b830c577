"""Settings with `{name}` in them, pure: what a topic, a key or a URL is made of."""

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = re.compile(r"\{([^{}]*)\}")


def names_in(template: str) -> frozenset[str]:
    """The names that a template asks for."""
    return frozenset(_NAME.findall(template))


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with each `{name}` replaced by its value. Raises KeyError."""
    return _NAME.sub(lambda match: values[match[1]], template)
