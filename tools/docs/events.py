"""The fields of an event and the query parameters, from their types; the columns of Parquet files from their schema."""

from typing import Any, Final

from collector.ingest.event import Event
from collector.ingest.fields.field_types import field_schemas
from collector.ingest.query import PARAMETERS
from collector.settings import EVENT_FIELDS
from collector.ship.formats.parquet import SCHEMA
from tools.docs.markdown import sentence, table

_ARROW: Final = {
    "timestamp[ms, tz=UTC]": "time in UTC, ms",
    "int64": "64-bit integer",
    "bool": "boolean",
    "string": "string",
}


def parts() -> dict[str, str]:
    """Fields, parameters and columns."""
    return {"events.fields": _fields(), "events.parameters": _parameters(), "events.columns": _columns()}


def _fields() -> str:
    rows = [
        (_name("field", name), "yes" if name in EVENT_FIELDS else "no", sentence(schema["description"]))
        for name, schema in field_schemas(Event).items()
    ]
    return table(("field", "required by default", "rule"), rows)


def _parameters() -> str:
    rows = [(_name("parameter", name), sentence(each.description)) for name, each in PARAMETERS.items()]
    return table(("query parameter", "value"), rows)


def _columns() -> str:
    return table(("column", "type"), [(f"`{field.name}`", _column(field.type)) for field in SCHEMA])


def _column(kind: Any) -> str:
    text = str(kind)
    return "list of strings" if text.startswith("list") else _ARROW[text]


def _name(group: str, name: str) -> str:
    return f'<span id="{group}.{name}">`{name}`</span>'
