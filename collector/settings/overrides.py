"""Environment variables that override scalar settings outside arrays, pure: `TRACKLOG_SERVER__PORT=9000`."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, NamedTuple, cast

import msgspec
from msgspec import inspect

from collector.settings.faults import SettingFault
from collector.settings.tables import Settings

_PREFIX: Final = "TRACKLOG_"
_SEPARATOR: Final = "__"
_TYPES: Final[Mapping[type[inspect.Type], tuple[type, str]]] = {
    inspect.IntType: (int, "an integer, such as 60"),
    inspect.FloatType: (float, "a number, such as 60 or 0.5"),
    inspect.BoolType: (bool, "`true` or `false`"),
    inspect.StrType: (str, "UTF-8 text"),
    inspect.LiteralType: (str, "UTF-8 text"),
}
"""How the text of a variable is read, by the setting's type, and what a fault expects."""

_UNREADABLE: Final = object()
"""Stands for a value that can't be read: no setting takes it, so that rules for several settings leave it out."""


class Overrides(NamedTuple):
    """The overrides that variables ask for, by `table.setting`."""

    values: dict[str, Any]
    """Values as a file would give them; None unsets a setting."""
    variables: dict[str, str]
    """The names of the variables, also of those whose value has a fault."""
    faults: list[SettingFault]


class _Scalar(NamedTuple):
    type: type
    expected: str
    may_be_none: bool


def read_overrides(environment: Mapping[str, str]) -> Overrides:
    """Find the overrides in all variables of the environment. No fault shows a value."""
    found = Overrides({}, {}, [])
    settings = _settings()
    for name, text in sorted(environment.items()):
        if name.startswith(_PREFIX) and _SEPARATOR in name:
            path = name.removeprefix(_PREFIX).replace(_SEPARATOR, ".").lower()
            if name == variable_name(path) and (scalar := settings.get(path)):
                _add(found, path, name, text, scalar)
            else:
                found.faults.append(SettingFault("", _unknown(path, settings), where=ascii(name)[1:-1]))
    return found


def has_variable(path: str) -> bool:
    """Whether a variable can override the setting at `table.setting`."""
    return _settings().get(path) is not None


def variable_name(path: str) -> str:
    """The variable that overrides the setting at `table.setting`."""
    return _PREFIX + path.upper().replace(".", _SEPARATOR)


def _add(found: Overrides, path: str, name: str, text: str, scalar: _Scalar) -> None:
    found.variables[path] = name
    try:
        found.values[path] = _value(text, scalar)
    except ValueError:
        found.values[path] = _UNREADABLE
        found.faults.append(SettingFault(path, f"expected {scalar.expected}"))


def _value(text: str, scalar: _Scalar) -> Any:
    """Raises ValueError. An empty text unsets a setting that need not be set."""
    if not text and scalar.may_be_none:
        return None
    text.encode()  # bytes that are not UTF-8 are lone surrogates here
    return msgspec.convert(text, scalar.type, strict=False)


def _unknown(path: str, settings: Mapping[str, _Scalar | None]) -> str:
    if path in settings and settings[path] is None:
        return "expected a setting of one value; set a list in the file"
    path = next(iter(get_close_matches(path, settings, 1)), "")
    return "no such setting" + (f"; did you mean `{variable_name(path)}`?" if path else "")


@cache
def _settings() -> Mapping[str, _Scalar | None]:
    """All settings outside arrays of tables, by `table.setting`; None for those that no variable can override."""
    settings: dict[str, _Scalar | None] = {}
    for table in cast(inspect.StructType, inspect.type_info(Settings)).fields:
        if isinstance(table.type, inspect.StructType):
            for field in table.type.fields:
                settings[f"{table.name}.{field.name}"] = _scalar(field.type)
    return settings


def _scalar(kind: inspect.Type, *, may_be_none: bool = False) -> _Scalar | None:
    """None for a list or table."""
    if isinstance(kind, inspect.Metadata):
        return _scalar(kind.type, may_be_none=may_be_none)
    if isinstance(kind, inspect.UnionType):
        (other,) = [member for member in kind.types if not isinstance(member, inspect.NoneType)]
        return _scalar(other, may_be_none=kind.includes_none)
    if type(kind) not in _TYPES:
        return None
    return _Scalar(*_TYPES[type(kind)], may_be_none)
