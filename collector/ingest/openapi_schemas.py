"""The schemas of the OpenAPI document: the event, the bodies of responses, and a refusal."""

from typing import Any, Final

from collector.errors import FieldCode
from collector.http.status import STATUS
from collector.ingest.event import Event
from collector.ingest.field_types import field_schemas
from collector.settings import EVENT_FIELDS

FIELDS: Final = field_schemas(Event)
_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What happened. Fields beyond these are kept as sent. A property can go without required ones.",
    "required": EVENT_FIELDS,
    "properties": FIELDS,
    "additionalProperties": True,
}
_OBJECT: Final[dict[str, Any]] = {
    "type": "object",
    "required": [
        *("dgs", "au_gt", "pv_id", "n_client_id", "session_id", "n_user"),
        *("au_id", "type", "aid", "client_id", "an_session"),
    ],
    "properties": {
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
    },
}
_BATCH: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "accepted", "rejected", "duplicates", "ids", "an_session"],
    "properties": {
        "type": {"const": "batch"},
        "accepted": {"type": "integer"},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "field", "code", "message"],
                "properties": {
                    "index": {"type": "integer"},
                    "field": {"type": "string", "description": "empty where the event is at fault as a whole"},
                    "code": {
                        "type": "string",
                        "enum": sorted({*STATUS, *FieldCode}),
                        "description": "that of the field, or of the refusal where no field is at fault",
                    },
                    "message": {"type": "string"},
                },
            },
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
}
_REFUSAL: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "code": {
            "type": "string",
            "enum": sorted(STATUS),
            "description": "stable, for programs; a 404 of the paths for events has none",
        },
        "message": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "code", "message"],
                "properties": {
                    "field": {"type": "string"},
                    "code": {"type": "string", "enum": sorted(FieldCode)},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
_CLOUD_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        **{name: {"type": "string", "minLength": 1} for name in ("id", "source", "type")},
        "subject": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "data": {},
    },
    "additionalProperties": True,
}
_CLOUD_EVENTS: Final[dict[str, Any]] = {
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
