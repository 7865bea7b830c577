"""Types of event fields, pure. The decoder checks the rules that a type states, and its JSON Schema describes them."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

MAX_SID: Final = 2**63 - 1
LONGEST: Final = 255
"""Characters of a text, and of a number that is sent as one."""
LONGEST_EVENT_ID: Final = 100
"""Characters of a client's own id of an event."""


def _digits_up_to(most: int) -> str:
    """A regular expression for the decimal digits of 0 to `most`, without leading zeros."""
    digits = str(most)
    smaller = [
        f"{digits[:at]}[0-{int(digit) - 1}][0-9]{{{len(digits) - at - 1}}}"
        for at, digit in enumerate(digits)
        if digit > "0"
    ]
    return "|".join([f"[0-9]{{1,{len(digits) - 1}}}", *smaller, digits])


class AnyObject(Struct):
    """Any JSON object; its members are checked for syntax and skipped."""


Text = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
EventId = Annotated[str, Meta(min_length=1, max_length=LONGEST_EVENT_ID)]
Time = Annotated[msgspec.Raw, Meta(extra_json_schema={"anyOf": [{"type": "string"}, {"type": "integer"}]})]
"""Any JSON: a value that is not a time costs a warning only."""
Count = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "integer", "minimum": 0})]
"""Any JSON: a value that is not a count costs a warning only."""
Sid = Annotated[int, Meta(ge=0, le=MAX_SID)]
SidText = Annotated[str, Meta(extra_json_schema={"maxLength": LONGEST, "pattern": f"^0*({_digits_up_to(MAX_SID)})$"})]
"""The decoder takes any string: event.py checks the digits, which is faster than a regular expression."""


def field_schemas(event: type[Struct]) -> dict[str, dict[str, Any]]:
    """The JSON Schema of each field of an event, with its description and without references."""
    _, components = msgspec.json.schema_components([event])
    schemas = msgspec.json.encode(components[event.__name__]["properties"])
    inlined = schemas.replace(b'"$ref":"#/$defs/AnyObject"', b'"type":"object"')
    return msgspec.json.decode(inlined, type=dict[str, dict[str, Any]])


def takes_text(schema: dict[str, Any]) -> bool:
    """Whether a field may be a string. The value of any other field is JSON in a query."""
    return any(choice.get("type") == "string" for choice in schema.get("anyOf", [schema]))
