"""The OpenAPI document of this collector: requests and responses, with the limits in its settings."""

from collections.abc import Sequence
from typing import Final

import msgspec

from collector.ingest.dialects.cloudevents.dialect import CloudEvents
from collector.ingest.dialects.dialect import MOST_EVENTS
from collector.ingest.dialects.openapi import RESPONSES, dialect_paths
from collector.ingest.openapi_schemas import FIELDS, GIF, SCHEMAS, Json, refusal_responses
from collector.ingest.query import JSON_FIELDS, PARAMETERS
from collector.settings import EVENT_FIELDS, Settings

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
_STORED: Final[Json] = {
    "x-event-ack": {"schema": {"enum": ["fsync", "shipped"]}, "description": "present if an event was stored"},
    "x-event-id": {
        "schema": {"type": "string"},
        "description": "the id of a single event, or of the one stored before",
    },
    "x-event-duplicate": {
        "schema": {"enum": ["true"]},
        "description": "present if an event with the same id was stored before: this one is not",
    },
}
_KEY: Final[Json] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "the id of the event, if it has no `event_id` itself; the events of a batch get `KEY-INDEX`",
    "schema": {"type": "string", "minLength": 1},
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
        "paths": {**{path: _operations(settings) for path in paths}, **dialect_paths(settings.server)},
        "components": {
            "schemas": SCHEMAS,
            "responses": RESPONSES,
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "writeKey": {"type": "apiKey", "in": "header", "name": "x-write-key"},
                "writeKeyInQuery": {"type": "apiKey", "in": "query", "name": "writeKey"},
            },
        },
        "security": [{}, {"bearer": []}, {"writeKey": []}],
    }
    return msgspec.json.encode(document)


def _operations(settings: Settings) -> Json:
    target = _parameters()
    return {
        "post": {
            "summary": "Store the event or the events in a body",
            "description": "With the header `ce-specversion`, the body is the data of one CloudEvent, whose attributes "
            "are the headers `ce-*`.",
            "parameters": [*target, _KEY],
            "requestBody": {"required": True, "content": _bodies(settings)},
            "responses": _responses(),
        },
        "get": {
            "summary": "Store the event in a query",
            "parameters": [*target, *_field_parameters(), _KEY],
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


def _parameters() -> list[Json]:
    return [_parameter(name, parameter.description, parameter.schema) for name, parameter in PARAMETERS.items()]


def _field_parameters() -> list[Json]:
    return [
        _json_parameter(name, schema)
        if name in JSON_FIELDS
        else _parameter(name, schema["description"], schema, is_required=name in EVENT_FIELDS)
        for name, schema in FIELDS.items()
    ]


def _parameter(name: str, description: str, schema: Json, *, is_required: bool = False) -> Json:
    return {"name": name, "in": "query", "description": description, "required": is_required, "schema": schema}


def _json_parameter(name: str, schema: Json) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": f"{schema['description']}, as JSON; an empty value counts as missing",
        "allowEmptyValue": True,
        "content": {"application/json": {"schema": schema}},
    }


def _bodies(settings: Settings) -> Json:
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
        **(_cloud_events() if CloudEvents.name in settings.server.dialects else {}),
    }


def _cloud_events() -> Json:
    """The bodies of CloudEvents, by content type."""
    event = {"$ref": "#/components/schemas/CloudEvent"}
    batch = {
        "type": "array",
        "maxItems": MOST_EVENTS,
        "items": event,
        "description": f"an array of at most {MOST_EVENTS:,} CloudEvents",
    }
    return {
        "application/cloudevents+json": {"schema": {**event, "description": "a CloudEvent"}},
        "application/cloudevents-batch+json": {"schema": batch},
    }


def _responses() -> Json:
    names = ("Response", "BatchResponse", "CloudEventsResponse")
    schema = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}
    return {
        "200": {
            "description": "the event is fsynced (HEAD: it would have been stored)",
            "headers": _STORED,
            "content": {
                "application/json": {"schema": schema},
                "text/javascript": {"schema": {"type": "string"}},
                **GIF,
            },
        },
        "302": {
            "description": "a click goes on; if x-event-id is missing, its event was not stored",
            "headers": {"location": {"schema": {"type": "string"}, "required": True}, **_STORED},
        },
        **_refusals(),
    }


def _refusals() -> Json:
    content = {
        "application/json": {
            "schema": {
                "anyOf": [{"$ref": "#/components/schemas/Refusal"}, {"$ref": "#/components/schemas/BatchResponse"}]
            }
        },
        **GIF,
    }
    return refusal_responses(_REFUSALS, content)
