"""The schemas of the OpenAPI document: the event, the bodies of responses, and a refusal."""

from collections.abc import Mapping
from typing import Any, Final

from collector.errors import FieldCode
from collector.http.status import STATUS
from collector.ingest.event import Event
from collector.ingest.fields.field_types import field_schemas
from collector.settings import EVENT_FIELDS

Json = dict[str, Any]
GIF: Final[Json] = {"image/gif": {"schema": {"type": "string", "contentMediaType": "image/gif"}}}
_RETRY: Final[Json] = {"retry-after": {"schema": {"type": "integer"}, "description": "seconds"}}


def object_of(properties: Json, *optional: str) -> Json:
    """The schema of an object that has all of these properties, but for the optional ones."""
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def refusal_responses(meanings: Mapping[str, str], content: Json) -> Json:
    """The responses that refuse a request, by status, with the meaning of each."""
    return {
        status: {
            "description": meaning,
            "content": content,
            **({"headers": _RETRY} if status in ("429", "503") else {}),
        }
        for status, meaning in meanings.items()
    }


FIELDS: Final = field_schemas(Event)
_EVENT: Final[Json] = {
    "type": "object",
    "description": "What happened. Fields beyond these are kept as sent. A property can go without required ones.",
    "required": EVENT_FIELDS,
    "properties": FIELDS,
    "additionalProperties": True,
}
_OBJECT: Final = object_of(
    {
        "dgs": {"type": "string", "description": "URL-encoded `start:hits:new` of the session"},
        "au_gt": {"type": "string", "description": "when this visitor was first seen, in Unix seconds"},
        "pv_id": {"type": "string"},
        "n_client_id": {"enum": [0, 1], "description": "1: this client is new"},
        "session_id": {"type": "string"},
        "n_user": {"enum": [0, 1], "description": "1: this visitor is not the one of the session token"},
        "au_id": {"type": "string", "description": "visitor id"},
        "type": {"const": "event"},
        "aid": {"type": "string"},
        "client_id": {"type": "string"},
        "an_session": {"type": "string", "description": "the session token; send it with the next event"},
    }
)
_BATCH: Final = object_of(
    {
        "type": {"const": "batch"},
        "accepted": {"type": "integer"},
        "rejected": {
            "type": "array",
            "items": object_of(
                {
                    "index": {"type": "integer"},
                    "field": {"type": "string", "description": "empty where the event is at fault as a whole"},
                    "code": {
                        "type": "string",
                        "enum": sorted({*STATUS, *FieldCode}),
                        "description": "that of the field, or of the refusal where no field is at fault",
                    },
                    "message": {"type": "string"},
                }
            ),
        },
        "duplicates": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "indexes of the events whose id the log has already; they are not stored again",
        },
        "ids": {"type": "array", "items": {"type": "string"}, "description": "of the events that are stored now"},
        "an_session": {"type": "string", "description": "the session token of the last valid event, or empty"},
        "code": {"type": "string", "description": "present, with a message, if every event failed validation"},
        "message": {"type": "string"},
    },
    "code",
    "message",
)
_REFUSAL: Final = object_of(
    {
        "code": {
            "type": "string",
            "enum": sorted(STATUS),
            "description": "stable, for programs; a 404 of the paths for events has none",
        },
        "message": {"type": "string"},
        "errors": {
            "type": "array",
            "items": object_of(
                {
                    "field": {"type": "string"},
                    "code": {"type": "string", "enum": sorted(FieldCode)},
                    "message": {"type": "string"},
                }
            ),
        },
    },
    "code",
    "errors",
)
_CLOUD_EVENT: Final = object_of(
    {
        "specversion": {"const": "1.0"},
        **{name: {"type": "string", "minLength": 1} for name in ("id", "source", "type")},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "data": {},
    },
    "subject",
    "time",
    "data",
) | {"additionalProperties": True}
_CLOUD_EVENTS: Final[Json] = {
    "type": "object",
    "description": "what became of CloudEvents: the numbers of events",
    "required": ["accepted", "duplicates", "rejected"],
    "properties": {name: {"type": "integer"} for name in ("accepted", "duplicates", "rejected")},
}
SCHEMAS: Final = {
    "Event": _EVENT,
    "CloudEvent": _CLOUD_EVENT,
    "Response": _OBJECT,
    "BatchResponse": _BATCH,
    "CloudEventsResponse": _CLOUD_EVENTS,
    "Refusal": _REFUSAL,
}
"""By the name that references have."""
