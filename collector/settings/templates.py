"""Settings with `{name}` in them, pure: the templates of topics, keys and URLs."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from collector.settings.faults import CHECK

_NAME: Final = re.compile(r"\{([^{}]*)\}")


def names_in(template: str) -> list[str]:
    """The names that a template asks for, in their order there; one that it asks for twice comes twice."""
    return _NAME.findall(template)


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with each `{name}` replaced by its value. Raises KeyError."""
    return _NAME.sub(lambda match: values[match[1]], template)


def may_hold(*names: str) -> dict[str, Callable[[str], str | None]]:
    """For `Meta(extra=…)`: the rule that a template asks for no other names.

    Unknown names are shown, unless the template has an `@`: a URL's password may be in braces.
    """

    def fault(template: str) -> str | None:
        unknown = set(names_in(template)).difference(names)
        if not unknown:
            return None
        got = "another name in braces" if "@" in template else _braced(sorted(unknown))
        return f"expected none but {_braced(names)}, got {got}"

    return {CHECK: fault}


def _braced(names: Iterable[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
