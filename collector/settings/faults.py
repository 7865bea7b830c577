"""Finds all faults of a settings file at once, each with its path, and shows no value that may be secret.

msgspec stops at its first error, so this module walks the tables and converts each value on its own. It does not know
the settings. A struct describes its fields further in four ways:

- `Meta(extra={EXPECTED: text})` says in words what a pattern expects.
- `Meta(extra={CHECK: function})` is a rule for one value: the function returns what is wrong, or None.
- `Meta(extra={KINDS: structs})` marks a struct of which there are kinds: `structs` maps each tag to a function that
  returns the struct, so that the module of a kind is imported only if a file has one.
- a method `faults(self)` yields a `SettingFault` for each rule that needs several fields.
"""

import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

S = TypeVar("S", bound=Struct)
EXPECTED: Final = "expected"
CHECK: Final = "check"
KINDS: Final = "kinds"
_BARE_KEY: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
_PART: Final = re.compile(r"[.\[]")
_SHOWN_BITS: Final = 256
"""Of a number in a message: 77 digits. Python refuses to print over 4,300."""
_UNSOUND: Final[Any] = object()
"""Stands for a value that has a fault."""


class SettingFault(NamedTuple):
    """A fault at `path`. `reads` are the paths that the rule looked at; empty if that is `path` alone."""

    path: str
    message: str
    reads: tuple[str, ...] = ()
    other: str = ""
    """The path of a second setting. `{other}` in the message stands for it."""
    where: str = ""
    """The file or variable of a fault that is at no setting; `path` is empty then."""


def read_leniently(values: Mapping[str, Any], kind: type[S]) -> tuple[S, list[SettingFault]]:
    """Convert the tables of a file; returns the settings and all faults, in the order of the struct's fields.

    A field with a fault has its default, or None if it has no default: good for further rules only, see `add_faults`.
    """
    walk = _Walk()
    settings = walk.struct(values, kind, "")
    return settings, walk.faults


def add_faults(faults: list[SettingFault], found: Iterable[SettingFault], below: str = "") -> None:
    """Add the faults that rules found. A rule that read a setting with a fault saw its default: leave that out."""
    faulty = {path for fault in faults for path in _with_parents(fault.path)}  # a file may have 5,000 faults of a kind
    for fault in found:
        path, reads = joined(below, fault.path), [joined(below, setting) for setting in fault.reads or (fault.path,)]
        if faulty.isdisjoint(reads):
            faults.append(fault._replace(path=path))
            faulty.update(_with_parents(path))


def has_fault(faults: Iterable[SettingFault], path: str) -> bool:
    """Whether a setting or one below it has a fault."""
    return any(path in _with_parents(fault.path) for fault in faults)


def joined(path: str, name: str) -> str:
    """The path of `name` in the table at `path`, quoted if it has other characters than TOML's bare keys."""
    key = name if name and set(name) <= _BARE_KEY | set("[]") else ascii(name)
    return f"{path}.{key}" if path else key


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a message about an unknown name; empty if no known one is like it."""
    return "".join(f"; did you mean `{similar}`?" for similar in get_close_matches(name, list(names), 1))


def shown(value: str) -> str:
    """A value for a message, in quotes. A value with an `@` is hidden: a URL may hold a password."""
    return "a text that is hidden because it may hold a password" if "@" in value else f"{value!r:.80}"


class _Field(NamedTuple):
    name: str
    hint: Any
    required: bool


@cache
def _fields(kind: type[Struct]) -> tuple[_Field, ...]:
    """The fields of a struct with their annotations. Cached: that takes 0.1 ms, and there may be 100,000 properties."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_Field(field.name, hints[field.name], field.required) for field in msgspec.structs.fields(kind))


class _Walk:
    """Converts value after value and collects the faults."""

    def __init__(self) -> None:
        self.faults: list[SettingFault] = []

    def struct(self, value: object, kind: type[S], path: str) -> S:
        """The struct with its sound values; `_UNSOUND` if the value is not a table."""
        if not isinstance(value, Mapping):
            self._add(path, f"expected `object`, that is a table, got `{type(value).__name__}`")
            unsound: S = _UNSOUND
            return unsound
        fields = _fields(kind)
        self._refuse_unknown(value, [field.name for field in fields], kind, path)
        converted = {field.name: self._field(value, field, path) for field in fields}
        sound = {name: element for name, element in converted.items() if element is not _UNSOUND}
        made = kind(**{field.name: None for field in fields if field.required} | sound)
        if rules := getattr(made, "faults", None):
            add_faults(self.faults, rules(), path)
        return made

    def _field(self, table: Mapping[str, Any], field: _Field, path: str) -> Any:
        """The value of a field; `_UNSOUND` also if the table does not have it."""
        at = joined(path, field.name)
        if field.name in table:
            return self.value(table[field.name], field.hint, at)
        if field.required:
            self._add(at, f"missing; expected {_described(field.hint)}")
        return _UNSOUND

    def value(self, value: object, hint: Any, path: str) -> Any:
        """A value of any type that a setting can have, or `_UNSOUND`."""
        plain = _plain(hint)
        if KINDS in _extra(hint):
            return self._of_a_kind(value, hint, path)
        members = [member for member in get_args(plain) if member is not types.NoneType]
        if _is_union(plain):  # with None, which only an environment variable gives: TOML has no null
            return None if value is None else self._checked(self.value(value, members[0], path), hint, path)
        if isinstance(plain, type) and issubclass(plain, Struct):
            return self.struct(value, plain, path)
        if get_origin(plain) is tuple and isinstance(value, list):
            return self._elements(value, hint, members[0], path)
        if get_origin(plain) is dict and isinstance(value, Mapping):
            items = {name: self.value(item, members[1], joined(path, name)) for name, item in value.items()}
            return _UNSOUND if _has_unsound(items.values()) else self._checked(items, hint, path)
        return self._leaf(value, hint, path)

    def _elements(self, values: list[object], hint: Any, of: Any, path: str) -> Any:
        elements = tuple(self.value(value, of, f"{path}[{at}]") for at, value in enumerate(values))
        if _has_unsound(elements):
            return _UNSOUND
        shortest = max([meta.min_length or 0 for meta in _metas(hint)], default=0)
        if len(elements) < shortest:
            self._add(path, f"expected an array of length >= {shortest}, got one of {len(elements)}")
            return _UNSOUND
        return self._checked(elements, hint, path)

    def _of_a_kind(self, value: object, hint: Any, path: str) -> Any:
        """The struct of the kind that the table names, in a field without a default."""
        base: type[Struct] = _plain(hint)
        structs: Mapping[str, Callable[[], type[Struct]]] = _extra(hint)[KINDS]
        if not isinstance(value, Mapping):
            return self.struct(value, base, path)
        field = str(base.__struct_config__.tag_field)
        kind = value.get(field)
        if not isinstance(kind, str) or kind not in structs:
            self._add(joined(path, field), _not_one_of(kind, structs))
            return _UNSOUND
        return self.struct(value, structs[kind](), path)

    def _leaf(self, value: object, hint: Any, path: str) -> Any:
        if isinstance(value, str) and "\0" in value:
            self._add(path, "expected a text without NUL characters")
            return _UNSOUND
        choices = get_args(_plain(hint)) if get_origin(_plain(hint)) is Literal else ()
        if choices and value not in choices:
            self._add(path, _not_one_of(value, choices))
            return _UNSOUND
        try:
            converted = msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            self._add(path, _worded(str(error), value, _extra(hint)))
            return _UNSOUND
        return self._checked(converted, hint, path)

    def _checked(self, value: Any, hint: Any, path: str) -> Any:
        check: Callable[[Any], str | None] | None = _extra(hint).get(CHECK)
        if check and value is not _UNSOUND and (wrong := check(value)):
            self._add(path, wrong)
            return _UNSOUND
        return value

    def _refuse_unknown(self, table: Mapping[str, Any], names: list[str], kind: type[Struct], path: str) -> None:
        tag_field = kind.__struct_config__.tag_field
        for key in table:
            if key not in names and key != tag_field:
                self._add(joined(path, key), f"no such setting{did_you_mean(key, names)}")

    def _add(self, path: str, message: str) -> None:
        self.faults.append(SettingFault(path, message))


def _worded(error: str, value: object, extra: Mapping[str, Any]) -> str:
    """msgspec's message in our words: no regular expression, but the number that was found."""
    message = error.partition(" - at `$")[0].replace("Expected", "expected", 1)
    if isinstance(value, str) and EXPECTED in extra:
        return f"expected {extra[EXPECTED]}"
    if isinstance(value, int | float) and ", got" not in message:
        bits = value.bit_length() if isinstance(value, int) else 0
        return f"{message}, got {f'a number of {bits:,} bits' if bits > _SHOWN_BITS else value}"
    return message


def _not_one_of(value: object, choices: Iterable[str]) -> str:
    names = list(choices)
    expected = " or ".join([", ".join(f"`{name}`" for name in names[:-1]), f"`{names[-1]}`"])
    if not isinstance(value, str):
        return f"expected {expected}, got `{type(value).__name__}`" if value is not None else f"expected {expected}"
    return f"expected {expected}, got {shown(value)}{did_you_mean(value, names)}"


def _described(hint: Any) -> str:
    return next((meta.description for meta in reversed(list(_metas(hint))) if meta.description), "a value")


def _metas(hint: Any) -> Iterator[msgspec.Meta]:
    yield from (meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta))


def _extra(hint: Any) -> Mapping[str, Any]:
    """The `extra` of all annotations of a type."""
    return {name: value for meta in _metas(hint) for name, value in (meta.extra or {}).items()}


def _plain(hint: Any) -> Any:
    """A type without its annotations."""
    return hint.__origin__ if hasattr(hint, "__metadata__") else hint


def _is_union(plain: Any) -> bool:
    return get_origin(plain) in (Union, types.UnionType)


def _has_unsound(values: Iterable[object]) -> bool:
    return any(value is _UNSOUND for value in values)


def _with_parents(path: str) -> list[str]:
    """The path, and those of the settings above it."""
    return [path, *(path[: match.start()] for match in _PART.finditer(path))]
