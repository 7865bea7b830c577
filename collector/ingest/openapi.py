"""The OpenAPI document of this collector: what it takes and answers, with the limits it was started with."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

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
        "au_gt": {"type": "string", "description": "Unix s when this visitor was first seen"},
        "pv_id": {"type": "string"},
        "n_client_id": {"enum": [0, 1], "description": "1: this client is new"},
        "session_id": {"type": "string"},
        "n_user": {"enum": [0, 1], "description": "1: the token did not know this visitor"},
        "au_id": {"type": "string", "description": "visitor id"},
        "type": {"const": "event"},
        "aid": {"type": "string"},
        "client_id": {"type": "string"},
        "an_session": {"type": "string", "description": "the session token, to be sent with the next event"},
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
                    "field": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
            },
        },
        "ids": {"type": "array", "items": {"type": "string"}},
        "code": {"type": "string", "description": "there, with a message, if no event of the batch was good"},
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
            "description": "what programs match; every refusal but a 404 has it",
        },
        "message": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_REFUSALS: Final = {
    "400": "the query or the event is wrong; every field that is at fault is named",
    "403": "the page is of an origin that the property does not list, or the request has no valid write key",
    "404": "no such property",
    "408": "the request did not arrive in time",
    "413": "the body or an event in it is over its limit",
    "414": "the URL is over its limit",
    "415": "a content type or encoding that is not read",
    "429": "the property is over its rate, or has too many events refused",
    "431": "the headers are over their limit",
    "503": "the log can't take it now, or a sink that the answer waits for has not confirmed it",
}
_RETRY: Final = {"retry-after": {"schema": {"type": "integer"}, "description": "seconds"}}
_STORED: Final[dict[str, Any]] = {
    "x-event-ack": {"schema": {"enum": ["fsync", "shipped"]}, "description": "there if anything was stored"},
    "x-event-id": {"schema": {"type": "string"}, "description": "the id of a single event"},
}


def openapi(paths: Sequence[str], settings: Settings) -> bytes:
    """The document, as JSON, for the paths that take events."""
    limits = settings.limits
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Tracklog",
            "version": "1",
            "description": "A 200 means: the event is fsynced in the log, and arrives downstream exactly once. "
            f"An event has at most {limits.event_bytes} bytes and {limits.nesting} levels of arrays and objects, "
            f"a body {limits.body_bytes} bytes, also when inflated, and a URL {limits.url_bytes}.",
        },
        "paths": {path: _operations(settings) for path in paths},
        "components": {
            "schemas": {"Event": _EVENT, "Answer": _OBJECT, "BatchAnswer": _BATCH, "Refusal": _REFUSAL},
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
            "summary": "Store the event, or the events, of a body",
            "parameters": target,
            "requestBody": {"required": True, "content": _bodies(settings)},
            "responses": _responses(),
        },
        "get": {
            "summary": "Store the event of a query",
            "parameters": [*target, *_field_parameters()],
            "responses": _responses(),
        },
        "head": {
            "summary": "Answer as GET would, and store nothing",
            "parameters": [*target, *_field_parameters()],
            "responses": _responses(),
        },
        "options": {
            "summary": "CORS preflight",
            "parameters": target,
            "responses": {"204": {"description": "what a page may send"}, **_refusals()},
        },
    }


def _parameters() -> list[dict[str, Any]]:
    return [_parameter(name, each.description, each.schema, each.is_required) for name, each in PARAMETERS.items()]


def _field_parameters() -> list[dict[str, Any]]:
    return [
        _json_parameter(name, schema)
        if name in JSON_FIELDS
        else _parameter(name, schema["description"], schema, name in EVENT_FIELDS)
        for name, schema in _FIELDS.items()
    ]


def _parameter(name: str, description: str, schema: dict[str, Any], is_required: bool) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "required": is_required, "schema": schema}


def _json_parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": f"{schema['description']}, as JSON; an empty value counts as none",
        "allowEmptyValue": True,
        "content": {"application/json": {"schema": schema}},
    }


def _bodies(settings: Settings) -> dict[str, Any]:
    event = {"$ref": "#/components/schemas/Event"}
    batch = {"type": "array", "minItems": 1, "maxItems": settings.limits.batch_events, "items": event}
    return {
        "application/json": {"schema": {"anyOf": [event, batch]}},
        "text/plain": {"schema": {"type": "string", "description": "JSON as `navigator.sendBeacon` sends it"}},
        "application/x-ndjson": {"schema": {"type": "string", "description": "an event a line"}},
        "application/x-www-form-urlencoded": {
            "schema": event,
            "encoding": {name: {"contentType": "application/json"} for name in sorted(JSON_FIELDS)},
        },
    }


def _responses() -> dict[str, Any]:
    answer = {"anyOf": [{"$ref": "#/components/schemas/Answer"}, {"$ref": "#/components/schemas/BatchAnswer"}]}
    return {
        "200": {
            "description": "stored and fsynced, or would have been (HEAD)",
            "headers": _STORED,
            "content": {
                "application/json": {"schema": answer},
                "text/javascript": {"schema": {"type": "string"}},
                "image/gif": {"schema": {"type": "string", "contentMediaType": "image/gif"}},
            },
        },
        "302": {
            "description": "a click goes on; without x-event-id its event was not stored",
            "headers": {"location": {"schema": {"type": "string"}, "required": True}, **_STORED},
        },
        **_refusals(),
    }


def _refusals() -> dict[str, Any]:
    content = {
        "application/json": {
            "schema": {
                "anyOf": [{"$ref": "#/components/schemas/Refusal"}, {"$ref": "#/components/schemas/BatchAnswer"}]
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
