"""Reads the files that `include` names. They hold `[[property]]` tables alone, and include nothing themselves."""

import os
import tomllib
from collections.abc import Iterator
from glob import glob
from typing import Any, Final, NamedTuple

from collector.settings.faults import SettingFault, did_you_mean, joined
from collector.settings.regular_file import expect_regular_file

_PROPERTY: Final = "property"


class PropertyFile(NamedTuple):
    """An included file and its `[[property]]` tables, which are not checked yet."""

    path: str
    properties: list[object]


def read_included(patterns: object, folder: str) -> tuple[list[PropertyFile], list[SettingFault]]:
    """Read all files that match the patterns, relative to `folder`, each once; returns the files and all faults.

    The order is that of the patterns, and below one by name. `patterns` is the raw setting, whose type may be wrong.
    """
    files: dict[str, list[object]] = {}
    faults: list[SettingFault] = []
    for at, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        if isinstance(pattern, str) and pattern and "\0" not in pattern:  # else it gets a fault by its type
            paths = _matching(pattern, folder)
            if not paths:
                faults.append(SettingFault(f"include[{at}]", _no_file(pattern, folder)))
            for path in paths:
                if path not in files:
                    files[path] = _read_properties(path, faults)
    return [PropertyFile(*file) for file in files.items()], faults


def read_toml(path: str) -> dict[str, Any]:
    """Read a regular file. Raises OSError, and ValueError if it is not TOML."""
    expect_regular_file(path)
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except ValueError as error:
        raise ValueError(f"not TOML: {error}") from None
    except RecursionError:
        raise ValueError("not TOML: arrays or tables are nested too deeply") from None


def _matching(pattern: str, folder: str) -> list[str]:
    return sorted(os.path.join(folder, name) for name in glob(pattern, root_dir=folder))


def _no_file(pattern: str, folder: str) -> str:
    """Not a warning: a wrong pattern, or a folder that is not mounted, would refuse all events of its properties."""
    return (
        f"expected at least one file, found none for {pattern!r} in {os.path.abspath(folder)}; "
        "correct the pattern, or add a file, which may be empty"
    )


def _read_properties(path: str, faults: list[SettingFault]) -> list[object]:
    try:
        tables = read_toml(path)
    except OSError as error:
        faults.append(SettingFault("", f"{error.strerror}; correct the file or `include`", where=path))
        return []
    except ValueError as error:
        faults.append(SettingFault("", str(error), where=path))
        return []
    faults += [SettingFault("", message, where=path) for message in _misplaced(tables)]
    properties = tables.get(_PROPERTY, [])
    return properties if isinstance(properties, list) else []


def _misplaced(tables: dict[str, Any]) -> Iterator[str]:
    for key, value in tables.items():
        if key != _PROPERTY:
            hint = did_you_mean(key, [_PROPERTY])
            yield f"{joined('', key)}: an included file may hold [[property]] tables only; move this out of it{hint}"
        elif not isinstance(value, list):
            yield f"{_PROPERTY}: expected `array`, got `{type(value).__name__}`; write [[property]]"
