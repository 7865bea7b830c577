"""Types of event fields: what OpenAPI, the documentation and the reading of queries follow from."""

from typing import Annotated

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from collector.ingest.event import Event
from collector.ingest.fields.field_types import AnyObject, Sid, SidText, Text, field_schemas, takes_text
from collector.ingest.query import JSON_FIELDS


class _Fields(Struct):
    text: Annotated[Text | UnsetType, Meta(description="a text")] = UNSET
    number: int | UnsetType = UNSET
    object: AnyObject | UnsetType = UNSET
    array: list[AnyObject] | UnsetType = UNSET


def test_a_schema_states_the_rules_of_its_type_and_its_description() -> None:
    assert field_schemas(_Fields) == {
        "text": {"type": "string", "minLength": 1, "maxLength": 255, "description": "a text"},
        "number": {"type": "integer"},
        "object": {"type": "object"},
        "array": {"type": "array", "items": {"type": "object"}},
    }


@pytest.mark.parametrize(("name", "expected"), [("text", True), ("number", False), ("object", False), ("array", False)])
def test_only_a_field_that_may_be_a_string_takes_text(name: str, expected: bool) -> None:
    assert takes_text(field_schemas(_Fields)[name]) is expected


def test_a_field_that_may_be_a_string_or_a_number_takes_text() -> None:
    assert takes_text(msgspec.json.schema(Sid | SidText))
    assert takes_text(msgspec.json.schema(Text | int))


def test_every_field_of_an_event_has_a_description() -> None:
    assert [name for name, schema in field_schemas(Event).items() if not schema.get("description")] == []


def test_what_is_no_text_is_json_in_a_query() -> None:
    assert {"context", "extra", "dims", "items", "lost"} == JSON_FIELDS
