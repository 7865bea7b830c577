"""Reads the files that `include` names. They hold `[[property]]` tables alone, and include nothing themselves."""

import os
import stat
import tomllib
from collections.abc import Iterator
from glob import glob
from typing import Any, Final, NamedTuple

from collector.settings.faults import SettingFault, did_you_mean, joined

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
        if isinstance(pattern, str) and pattern:
            paths = _matching(pattern, folder)
            if not paths:
                faults.append(SettingFault(f"include[{at}]", _no_file(pattern, folder)))
            for path in paths:
                if path not in files:
                    files[path] = _read_properties(path, faults)
    return [PropertyFile(*each) for each in files.items()], faults


def read_toml(path: str) -> dict[str, Any]:
    """Read a file. Raises OSError, and ValueError if it is not TOML."""
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except ValueError as error:
        raise ValueError(f"not TOML: {error}") from None
    except RecursionError:
        raise ValueError("not TOML: nested too deeply") from None


def _matching(pattern: str, folder: str) -> list[str]:
    try:
        return sorted(os.path.join(folder, name) for name in glob(pattern, root_dir=folder))
    except ValueError:  # a NUL, which no name has
        return []


def _no_file(pattern: str, folder: str) -> str:
    """Not a warning: a wrong pattern, or a folder that is not mounted, would refuse all events of its properties."""
    return (
        f"expected at least one file, found none for {pattern!r} in {os.path.abspath(folder)}; "
        "correct the pattern, or add a file, which may be empty"
    )


def _read_properties(path: str, faults: list[SettingFault]) -> list[object]:
    try:
        _expect_file(path)
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


def _expect_file(path: str) -> None:
    """Raises OSError. To open a pipe would wait for ever."""
    if os.path.islink(path) and not os.path.exists(path):
        raise FileNotFoundError(0, f"a symbolic link to {os.readlink(path)}, which can't be reached")
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(0, "expected a file, found " + ("a folder" if os.path.isdir(path) else "a device or pipe"))


def _misplaced(tables: dict[str, Any]) -> Iterator[str]:
    for key, value in tables.items():
        if key != _PROPERTY:
            hint = did_you_mean(key, [_PROPERTY])
            yield f"{joined('', key)}: an included file may hold [[property]] tables only; move this out of it{hint}"
        elif not isinstance(value, list):
            yield f"{_PROPERTY}: expected `array`, got `{type(value).__name__}`; write [[property]]"
