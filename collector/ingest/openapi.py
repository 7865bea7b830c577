"""The OpenAPI document of this collector: requests and responses, with the limits in its settings."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from collector.errors import FieldCode
from collector.http.status import STATUS
from collector.ingest.event import Event
from collector.ingest.field_types import field_schemas
from collector.ingest.query import JSON_FIELDS, PARAMETERS
from collector.settings import EVENT_FIELDS, Settings

_FIELDS: Final = field_schemas(Event)
_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What happened. Fields beyond these are kept as sent. A property can go without required ones.",
    "required": EVENT_FIELDS,
    "properties": _FIELDS,
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
    "required": ["type", "accepted", "rejected", "ids"],
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
        "ids": {"type": "array", "items": {"type": "string"}},
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
            "description": "stable, for programs; a 404 has none",
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
_REFUSALS: Final = {
    "400": "the query or the event failed validation; `errors` names every wrong field",
    "403": "the page's origin is not in the property's list, or the request has no valid write key",
    "404": "no such property",
    "408": "the request did not arrive in time",
    "413": "the body or an event in it is over its limit",
    "414": "the URL is over its limit",
    "415": "the content type or encoding is not supported",
    "429": "the property is over its rate, or has too many events refused",
    "431": "the headers are over their limit",
    "503": "the log can't take the event now, or the sink that the response waits for has not confirmed it",
}
_RETRY: Final = {"retry-after": {"schema": {"type": "integer"}, "description": "seconds"}}
_STORED: Final[dict[str, Any]] = {
    "x-event-ack": {"schema": {"enum": ["fsync", "shipped"]}, "description": "present if an event was stored"},
    "x-event-id": {"schema": {"type": "string"}, "description": "the id of a single event"},
}


def openapi(paths: Sequence[str], settings: Settings) -> bytes:
    """The document as JSON. `paths` take events."""
    limits = settings.limits
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tracklog",
            "version": "1",
            "description": "A 200 means: the event is fsynced in the log, and arrives downstream exactly once. "
            f"An event has at most {limits.event_bytes} bytes and {limits.nesting} levels of arrays and objects, "
            f"a body at most {limits.body_bytes} bytes, also after inflation, and a URL at most {limits.url_bytes}.",
        },
        "paths": {path: _operations(settings) for path in paths},
        "components": {
            "schemas": {"Event": _EVENT, "Response": _OBJECT, "BatchResponse": _BATCH, "Refusal": _REFUSAL},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "writeKey": {"type": "apiKey", "in": "header", "name": "x-write-key"},
            },
        },
        "security": [{}, {"bearer": []}, {"writeKey": []}],
    }
    return msgspec.json.encode(document)


def _operations(settings: Settings) -> dict[str, Any]:
    target = _parameters()
    return {
        "post": {
            "summary": "Store the event or the events in a body",
            "parameters": target,
            "requestBody": {"required": True, "content": _bodies(settings)},
            "responses": _responses(),
        },
        "get": {
            "summary": "Store the event in a query",
            "parameters": [*target, *_field_parameters()],
            "responses": _responses(),
        },
        "head": {
            "summary": "Respond as to GET, and store nothing",
            "parameters": [*target, *_field_parameters()],
            "responses": _responses(),
        },
        "options": {
            "summary": "CORS preflight",
            "parameters": target,
            "responses": {"204": {"description": "the methods and headers that a page may send"}, **_refusals()},
        },
    }


def _parameters() -> list[dict[str, Any]]:
    return [_parameter(name, each.description, each.schema) for name, each in PARAMETERS.items()]


def _field_parameters() -> list[dict[str, Any]]:
    return [
        _json_parameter(name, schema)
        if name in JSON_FIELDS
        else _parameter(name, schema["description"], schema, is_required=name in EVENT_FIELDS)
        for name, schema in _FIELDS.items()
    ]


def _parameter(name: str, description: str, schema: dict[str, Any], *, is_required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "required": is_required, "schema": schema}


def _json_parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": f"{schema['description']}, as JSON; an empty value counts as missing",
        "allowEmptyValue": True,
        "content": {"application/json": {"schema": schema}},
    }


def _bodies(settings: Settings) -> dict[str, Any]:
    event = {"$ref": "#/components/schemas/Event"}
    batch = {"type": "array", "minItems": 1, "maxItems": settings.limits.batch_events, "items": event}
    return {
        "application/json": {"schema": {"anyOf": [event, batch]}},
        "text/plain": {"schema": {"type": "string", "description": "JSON as `navigator.sendBeacon` sends it"}},
        "application/x-ndjson": {"schema": {"type": "string", "description": "one event a line"}},
        "application/x-www-form-urlencoded": {
            "schema": event,
            "encoding": {name: {"contentType": "application/json"} for name in sorted(JSON_FIELDS)},
        },
    }


def _responses() -> dict[str, Any]:
    schema = {"anyOf": [{"$ref": "#/components/schemas/Response"}, {"$ref": "#/components/schemas/BatchResponse"}]}
    return {
        "200": {
            "description": "the event is fsynced (HEAD: it would have been stored)",
            "headers": _STORED,
            "content": {
                "application/json": {"schema": schema},
                "text/javascript": {"schema": {"type": "string"}},
                "image/gif": {"schema": {"type": "string", "contentMediaType": "image/gif"}},
            },
        },
        "302": {
            "description": "a click goes on; if x-event-id is missing, its event was not stored",
            "headers": {"location": {"schema": {"type": "string"}, "required": True}, **_STORED},
        },
        **_refusals(),
    }


def _refusals() -> dict[str, Any]:
    content = {
        "application/json": {
            "schema": {
                "anyOf": [{"$ref": "#/components/schemas/Refusal"}, {"$ref": "#/components/schemas/BatchResponse"}]
            }
        },
        "image/gif": {"schema": {"type": "string", "contentMediaType": "image/gif"}},
    }
    return {
        status: {
            "description": text,
            "content": content,
            **({"headers": _RETRY} if status in ("429", "503") else {}),
        }
        for status, text in _REFUSALS.items()
    }
