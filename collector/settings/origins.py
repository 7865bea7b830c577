"""Where the value of each setting comes from: its file, an environment variable, or the default. Pure.

The paths of settings count the properties of all files as one array. For people a property has the file's own number.
"""

import re
from bisect import bisect
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from collector.settings.faults import SettingFault

_PROPERTY: Final = re.compile(r"property\[(\d+)\]")
_PARTS: Final = re.compile(r"[^.\[\]]+")


class Origin(NamedTuple):
    """The origin of a value. `name` is the file's path or the variable's name, None for a default."""

    kind: Literal["default", "file", "environment"]
    name: str | None = None


class Origins(NamedTuple):
    """The origins of all values of a settings file and the files that it includes."""

    files: list[str]
    """The settings file, then the included ones."""
    first: list[int]
    """By file: the index of its first property among those of all files."""
    values: Mapping[str, Any]
    """The tables of all files, with the overrides. Never printed: there may be secrets in them."""
    variables: Mapping[str, str]
    """The environment variables that override a setting, by its path."""

    def of(self, path: str) -> Origin:
        """The origin of the setting at `path`."""
        if path in self.variables:
            return Origin("environment", self.variables[path])
        return Origin("file", self._located(path)[0]) if self._is_given(path) else Origin("default")

    def line(self, fault: SettingFault) -> str:
        """A fault for people: file and setting, or environment variable, and the message."""
        message = fault.message
        if fault.other:
            message = message.replace("{other}", self._other(fault.other, self._located(fault.path)[0]))
        if where := fault.where or self.variables.get(fault.path):
            return f"{where}: {message}"
        return ": ".join(part for part in (*self._located(fault.path), message) if part)

    def _other(self, path: str, file: str) -> str:
        """A second setting, with its file if that is not `file`."""
        others_file, place = self._located(path)
        return place if others_file == file else f"{place} of {others_file}"

    def _located(self, path: str) -> tuple[str, str]:
        """The file of a setting, and its path there."""
        match = _PROPERTY.match(path)
        if match is None:
            return self.files[0], path
        at = int(match[1])
        # of files without a property the last one has the same first index as the one that is meant
        file = bisect(self.first, at) - 1
        return self.files[file], f"property[{at - self.first[file]}]{path[match.end() :]}"

    def _is_given(self, path: str) -> bool:
        value: Any = self.values
        for part in _PARTS.findall(path):
            if isinstance(value, list):
                value = value[int(part)]
            elif part in value:
                value = value[part]
            else:
                return False
        return True
