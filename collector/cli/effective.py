"""The settings in effect, for `collector check --show`: each value, masked, and where it comes from."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from collector.cli.masking import masked
from collector.settings import ReadSettings
from collector.settings.origins import Origin, Origins
from wal.tools.terminal import harmless


class _Row(NamedTuple):
    path: str
    name: str
    value: Any
    origin: Origin


class _Table(NamedTuple):
    """A table of the file. `head` is its first line, which the settings above all tables don't have."""

    head: str
    rows: list[_Row]


def as_toml(read: ReadSettings) -> Iterator[str]:
    """The settings as the lines of a TOML file, with origins as comments."""
    for table in _tables(read):
        if table.head:
            yield ""
            yield table.head
        yield from (harmless(f"{_assignment(row):<40}  # {row.origin.name or 'default'}") for row in table.rows)


def as_json(read: ReadSettings) -> Iterator[str]:
    """The settings as JSON objects, one a line: path, value, source, and the name of the file or variable."""
    for table in _tables(read):
        for path, _, value, origin in table.rows:
            yield json.dumps({"setting": path, "value": value, "source": origin.kind, "name": origin.name})


def _tables(read: ReadSettings) -> Iterator[_Table]:
    origins = read.origins
    values = {name: getattr(read.settings, name) for name in read.settings.__struct_fields__}
    plain = {name: value for name, value in values.items() if not _holds_tables(value)}
    yield _Table("", [_row(name, name, value, origins) for name, value in plain.items()])
    for name, value in values.items():
        if isinstance(value, Struct):
            yield _Table(f"[{name}]", _rows(name, value, origins))
        elif name not in plain:
            for at, element in enumerate(value):
                yield _Table(f"[[{name}]]", _rows(f"{name}[{at}]", element, origins))


def _holds_tables(value: Any) -> bool:
    elements = value if isinstance(value, tuple) else (value,)
    return any(isinstance(element, Struct) for element in elements)


def _rows(path: str, table: Struct, origins: Origins) -> list[_Row]:
    config = table.__struct_config__
    tag = {str(config.tag_field): config.tag} if config.tag_field else {}
    values = tag | {name: getattr(table, name) for name in table.__struct_fields__}
    return [_row(f"{path}.{name}", name, value, origins) for name, value in values.items()]


def _row(path: str, name: str, value: Any, origins: Origins) -> _Row:
    return _Row(path, name, masked(name, value), origins.of(path))


def _assignment(row: _Row) -> str:
    """A line of TOML, which has no null: a setting that is not set is in a comment."""
    if row.value is None:
        return f"# {row.name} is not set"
    if isinstance(row.value, Mapping):
        items = ", ".join(f"{_json(name)} = {_json(value)}" for name, value in row.value.items())
        return f"{row.name} = {{ {items} }}" if items else f"{row.name} = {{}}"
    return f"{row.name} = {_json(row.value)}"


def _json(value: Any) -> str:
    """A string, number, boolean or array, which TOML writes as JSON does."""
    return msgspec.json.encode(value).decode()
