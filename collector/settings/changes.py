"""What differs between two settings, in words, by what it takes to come into effect. Pure, and shows no secret."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from collector.settings.effects import Effect, effect_of
from collector.settings.faults import shown
from collector.settings.tables import Settings

_KEYS: Final[Mapping[str, Callable[[Any], str]]] = {
    "property": lambda prop: f"{prop.portal_id}/{prop.prop_id}",
    "sink": lambda sink: str(sink.name),
}
"""The arrays of tables, and what tells their elements apart."""


class Changes(NamedTuple):
    """The changes of each `Effect`, a line each. A worker that is replaced takes those that are swapped, too."""

    swapped: tuple[str, ...]
    rolled: tuple[str, ...]
    restart: tuple[str, ...]


def changes(old: Settings, new: Settings) -> Changes:
    """List the changes in the order of the tables: `limits.body_bytes: 1024 -> 2048`, `sink kafka: added`."""
    lines: dict[Effect, list[str]] = {effect: [] for effect in Effect}
    for setting, line in _changes(old, new):
        lines[effect_of(setting)].append(line)
    return Changes(**{effect.value: tuple(found) for effect, found in lines.items()})


def _changes(old: Settings, new: Settings) -> Iterator[tuple[str, str]]:
    """Each changed setting, as `effect_of` knows it, and a line about it."""
    for name in _differing(old, new):
        before, after = getattr(old, name), getattr(new, name)
        if name in _KEYS:
            yield from ((name, line) for line in _elements(name, before, after))
        elif isinstance(before, Struct):
            yield from ((setting, _line(setting, *values)) for setting, values in _values(name, before, after))
        else:
            yield name, _line(name, before, after)


def _values(table: str, old: Struct, new: Struct) -> Iterator[tuple[str, tuple[object, object]]]:
    for name in _differing(old, new):
        yield f"{table}.{name}", (getattr(old, name), getattr(new, name))


def _elements(name: str, old: Iterable[Struct], new: Iterable[Struct]) -> Iterator[str]:
    """Lines about the elements of an array, by name of the settings alone: a value may be a password."""
    before, after = ({_KEYS[name](element): element for element in elements} for elements in (old, new))
    yield from (f"{name} {key}: removed" for key in before if key not in after)
    for key, element in after.items():
        if key not in before:
            yield f"{name} {key}: added"
        elif changed := _differing(before[key], element):
            yield f"{name} {key}: changed {', '.join(changed)}"


def _differing(old: Struct, new: Struct) -> list[str]:
    """The names of the fields that differ."""
    if type(old) is not type(new):  # sinks of two kinds
        return ["type"]
    return [name for name in old.__struct_fields__ if getattr(old, name) != getattr(new, name)]


def _line(name: str, old: object, new: object) -> str:
    return f"{name}: {_text(old)} -> {_text(new)}"


def _text(value: object) -> str:
    """A value for people. Keys and secrets are `env:NAME`, and of a text with an `@` nothing is shown."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, tuple):
        return f"[{', '.join(_text(element) for element in value)}]"
    return "none" if value is None else msgspec.json.encode(value).decode()
