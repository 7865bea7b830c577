"""The settings, from their structs: an entry for each with type, default, bounds, variable, effect and meaning."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from collector.settings import Settings, overrides
from collector.settings.effects import Effect, effect_of
from collector.settings.faults import EXPECTED
from collector.settings.sinks import SINK_KINDS, SinkSettings, sink_settings
from tools.docs.markdown import heading, sentence

_UNITS: Final = {
    "_bytes": "bytes",
    "_bytes_per_hour": "bytes an hour",
    "_seconds": "seconds",
    "_hours": "hours",
    "_per_second": "events a second",
}
"""Units by the end of a setting's name."""
_MACHINES: Final = {"server.workers": "the CPUs that the process may use"}
"""Defaults that depend on the machine."""
TAKES_EFFECT: Final = {
    Effect.SWAPPED: "at a reload",
    Effect.ROLLED: "at a reload, workers are replaced one at a time",
    Effect.RESTART: "at a restart",
}
_ARRAYS: Final = ("property", "sink")
"""Arrays of tables. A change of any setting in one takes effect in the same way."""
_KIB: Final = 1024


def parts() -> dict[str, str]:
    """A part for each table of the settings file, and for each kind of sink."""
    return {f"settings.{name or 'top'}": _entries(name, struct) for name, struct in tables().items()}


def tables() -> dict[str, type[Struct]]:
    """The tables of the settings file by their names; `sink.KIND` for each kind of sink."""
    found: dict[str, type[Struct]] = {"": Settings}
    for field in msgspec.structs.fields(Settings):
        if field.name == "sink":
            found |= {f"sink.{kind}": sink_settings(kind) for kind in SINK_KINDS}
        elif struct := _struct_in(field.type):
            found[field.name] = struct
    return found


def _struct_in(hint: Any) -> type[Struct] | None:
    """The struct of a table or of an array of tables; None for a setting of its own."""
    kind = next(iter(get_args(hint)), hint)
    return kind if isinstance(kind, type) and issubclass(kind, Struct) else None


def names_of(table: str, struct: type[Struct]) -> list[str]:
    """The full names of the settings in a table, in their order on the page."""
    return [f"{table}.{field.name}".removeprefix(".") for field in _fields(struct)]


def _entries(table: str, struct: type[Struct]) -> str:
    fields = zip(names_of(table, struct), _fields(struct), strict=True)
    return "\n\n".join(_entry(name, field, struct) for name, field in fields)


def _fields(struct: type[Struct]) -> list[Any]:
    """Of a sink its own settings come first, and of those the required ones."""
    fields: list[Any] = list(msgspec.structs.fields(struct))
    if struct is Settings:
        return [field for field in fields if field.name != "sink" and not _struct_in(field.type)]
    if issubclass(struct, SinkSettings):
        fields.sort(key=lambda field: (field.name in SinkSettings.__struct_fields__, not field.required))
    return fields


def _entry(name: str, field: Any, struct: type[Struct]) -> str:
    hint = get_type_hints(struct, include_extras=True)[field.name]
    facts = " · ".join([_kind(hint, field.name), _default(name, field), *_variable(name), _effect(name)])
    return f"{heading(3, name)}\n\n{facts}\n\n{sentence(description(hint))}"


def _variable(name: str) -> Iterator[str]:
    """The environment variable that overrides a setting, if there is one."""
    if overrides.has_variable(name):
        yield f"`{overrides.variable_name(name)}`"


def _effect(name: str) -> str:
    """When a change of a setting counts."""
    table = name.partition(".")[0]
    return f"takes effect {TAKES_EFFECT[effect_of(table if table in _ARRAYS else name)]}"


def description(hint: Any) -> str:
    """The sentence of a setting: the outermost description counts."""
    return next((each.description or "" for each in reversed(get_args(hint)) if isinstance(each, Meta)), "")


def _default(name: str, field: Any) -> str:
    if name in _MACHINES:
        return f"default: {_MACHINES[name]}"
    if field.required:
        return "**required**"
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    if default in (None, (), {}):
        return "default: none"
    return f"default `{msgspec.json.encode(default).decode().removesuffix('.0')}`{_rounded(name, default)}"


def _rounded(name: str, default: object) -> str:
    """A number of bytes in its largest whole unit, as a second form."""
    if not isinstance(default, int) or "_bytes" not in name:
        return ""
    number, units = default, iter(("KiB", "MiB", "GiB"))
    unit = ""
    while number >= _KIB and number % _KIB == 0:
        number, unit = number // _KIB, next(units)
    return f" ({number} {unit})" if unit else ""


def _kind(hint: Any, name: str) -> str:
    unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
    return _type(msgspec.inspect.type_info(hint), hint).replace("number", f"number of {unit}" if unit else "number", 1)


def _type(info: Any, hint: Any) -> str:
    """The type in words, with its bounds or allowed values."""
    while isinstance(info, msgspec.inspect.Metadata):
        if expected := (info.extra or {}).get(EXPECTED):
            return str(expected)
        info = info.type
    return _TYPES[type(info)](info, hint)


def _number(words: str, info: Any) -> str:
    return ", ".join([words, *_bounds(info)])


def _bounds(info: Any) -> Iterator[str]:
    for bound, words in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
        if (value := getattr(info, bound)) is not None:
            yield f"{words} {int(value):,}"


def _text(info: Any, _hint: Any) -> str:
    return "non-empty string" if info.min_length else "string"


def _union(info: Any, hint: Any) -> str:
    return next(_type(each, hint) for each in info.types if not isinstance(each, msgspec.inspect.NoneType))


def _choices(_info: Any, hint: Any) -> str:
    return "one of " + ", ".join(f"`{value}`" for value in _literals(hint))


def _literals(hint: Any) -> tuple[Any, ...]:
    """The allowed values in the order of the code: `inspect` sorts them."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next(filter(None, map(_literals, get_args(hint))), ())


_TYPES: Final[dict[type, Callable[[Any, Any], str]]] = {
    msgspec.inspect.IntType: lambda info, _: _number("whole number", info),
    msgspec.inspect.FloatType: lambda info, _: _number("number", info),
    msgspec.inspect.StrType: _text,
    msgspec.inspect.BoolType: lambda *_: "`true` or `false`",
    msgspec.inspect.LiteralType: _choices,
    msgspec.inspect.VarTupleType: lambda info, hint: f"list, each element {_type(info.item_type, hint)}",
    msgspec.inspect.DictType: lambda *_: "table of strings",
    msgspec.inspect.UnionType: _union,
}
