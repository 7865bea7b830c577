"""The paths of dialects in the OpenAPI document, pure: one row for each dialect, and one for each settings document."""

import re
from collections.abc import Callable
from typing import Final

from collector.ingest.dialects.dialect import MOST_EVENTS
from collector.ingest.dialects.table import documents_of, served
from collector.ingest.openapi_schemas import GIF, Json, object_of, refusal_responses
from collector.settings import ServerSettings

_EVENTS: Final[Json] = {"type": "array", "maxItems": MOST_EVENTS, "items": {"type": "object"}}
_ANY: Final[Json] = {"type": "object", "additionalProperties": True}
_REFUSED: Final[Json] = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
_STORED: Final[Json] = {"x-event-ack": {"schema": {"enum": ["fsync"]}, "description": "present if an event was stored"}}
_SETTLED: Final = "all events are fsynced, were stored before, or are dead letters"
_REFUSALS: Final = {
    "400": "the request as a whole can't be read",
    "403": "the page's origin is not in the property's list, or the secret beside the id is missing or wrong",
    "404": "no property has this id, or the property does not take this dialect",
    "408": "the request did not arrive in time",
    "413": "the body is over its limit, or has too many events",
    "414": "the URL is over its limit",
    "415": "the content encoding is not supported",
    "429": "the property is over its rate",
    "431": "the headers are over their limit",
    "503": "the log can't take the events now",
}
"""By status. A dialect leaves out those for which its SDKs need another one."""
RESPONSES: Final = {f"Refused{status}": response for status, response in refusal_responses(_REFUSALS, _REFUSED).items()}
"""By the name that references have."""
_WRITE_KEY: Final[list[Json]] = [{"basic": []}, {"bearer": []}, {"writeKey": []}, {"writeKeyInQuery": []}, {}]
"""The forms of the write key in a head. The last: the body or the path has it."""
_KIND: Final = ["track", "identify", "page", "screen", "group", "alias", "batch", "event"]
_PATH_PARAMETERS: Final[dict[str, Json]] = {
    "type": {"description": "the kind of the call", "schema": {"type": "string", "enum": _KIND}},
    "folder": {
        "description": "any folder, also several",
        "schema": {"type": "string", "pattern": "^[a-z]+$"},
    },
    "key": {
        "description": "the public id of a property, or `ID:SECRET`",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
}
_TEMPLATES: Final = {
    "segment": ("/api/s/{type}", "/api/s/s2s/{type}"),
    "matomo": ("/{folder}/matomo.php", "/{folder}/piwik.php"),
}
"""Paths in place of the patterns of dialects, which OpenAPI can't express."""
_DOCUMENTS: Final = {
    b"segment-settings": ("/v1/projects/{key}/settings", "The settings document of Segment's SDKs"),
    b"rudder-source-config": ("/sourceConfig", "The source config of RudderStack's SDKs"),
}
"""By the name of the settings document: its path and a summary."""


def dialect_paths(server: ServerSettings) -> Json:
    """The paths of the dialects that these settings serve, and of the documents that their SDKs fetch."""
    found: Json = {}
    for dialect in served(server):
        for path in (*dialect.paths, *_TEMPLATES.get(dialect.name, ())):
            found[path] = _path(path, dialect.name, OPERATIONS[dialect.name](path))
        for document in documents_of(dialect):
            path, summary = _DOCUMENTS[document.name]
            found[path] = _path(path, dialect.name, _document(summary))
    return found


def _path(path: str, dialect: str, operations: Json) -> Json:
    """A path with its operations, the preflight, and its parameters."""
    names = re.findall(r"{(\w+)}", path)
    parameters = [{"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]} for name in names]
    preflight = {
        "summary": "CORS preflight: allowed if any property lists the page's origin",
        "responses": {"204": {"description": "the methods and headers that a page may send"}, **_refusals(("503",))},
    }
    tagged = {
        method: {"tags": [dialect], **operation} for method, operation in (operations | {"options": preflight}).items()
    }
    return {**({"parameters": parameters} if parameters else {}), **tagged}


def _segment(path: str) -> Json:
    call = {
        "type": "object",
        "properties": {
            "type": {"type": "string", "enum": _KIND[:6]},
            **{name: {"type": "string"} for name in ("event", "messageId", "anonymousId", "userId", "writeKey")},
            **{name: {"type": "string"} for name in ("originalTimestamp", "timestamp", "sentAt")},
            **dict.fromkeys(("properties", "traits", "context"), _ANY),
        },
    }
    batch = object_of({"batch": _EVENTS, "context": _ANY}, "context")
    takes_batch = path.rpartition("/")[2] in ("batch", "import", "b", "{type}")
    vendor = "Jitsu's" if path.startswith("/api/s/") else "Segment's and RudderStack's"
    calls = "calls: a batch, or one" if takes_batch else "one call"
    success = object_of({"success": {"const": True}})
    post = _operation(f"Store {calls}, from {vendor} SDKs", _json(success), _REFUSALS)
    body = _body({"anyOf": [batch, call]} if takes_batch else call)
    return {"post": {**post, "security": _WRITE_KEY, "requestBody": body}}


def _snowplow(path: str) -> Json:
    kept = [status for status in _REFUSALS if status not in ("413", "414", "415")]
    if path == "/i":
        get = _operation("Store the event in a query, from Snowplow's trackers", GIF, kept)
        return {"get": {**get, "parameters": [_query(name) for name in ("e", "aid", "eid", "p", "tv")]}}
    body = object_of({"schema": {"type": "string"}, "data": _EVENTS})
    success = object_of({"status": {"const": "success"}})
    post = _operation("Store the events of a payload, from Snowplow's trackers", _json(success), kept)
    return {"post": {**post, "requestBody": _body(body)}}


def _matomo(_path: str) -> Json:
    counts = object_of({"status": {"const": "success"}, "tracked": {"type": "integer"}, "invalid": {"type": "integer"}})
    query = [_query(name) for name in ("idsite", "rec", "send_image", "url", "action_name", "_id", "token_auth")]
    bulk = object_of({"requests": {"type": "array"}})
    post = _operation(
        "Store the events of a body or of the query, from Matomo's trackers", _json(counts) | GIF, _REFUSALS
    )
    get = _operation("Store the event in a query, from Matomo's trackers", GIF, _REFUSALS)
    for operation in (get, post):
        operation["parameters"] = query
        operation["responses"]["204"] = {"description": f"{_SETTLED}; for `send_image=0`", "headers": _STORED}
    return {"get": get, "post": {**post, "requestBody": {**_body(bulk), "required": False}}}


def _posthog(_path: str) -> Json:
    event = {
        "type": "object",
        "properties": {
            **{name: {"type": "string"} for name in ("event", "uuid", "api_key", "timestamp")},
            "distinct_id": {},
            "properties": _ANY,
        },
    }
    batch = object_of(
        {"api_key": {"type": "string"}, "batch": _EVENTS, "sent_at": {"type": "string"}}, "api_key", "sent_at"
    )
    success = object_of({"status": {"const": "Ok"}})
    kept = [status for status in _REFUSALS if status != "429"]
    post = _operation("Store events: a batch, an array, or one, from PostHog's SDKs", _json(success), kept)
    body = _body({"anyOf": [batch, {"type": "array", "items": event}, event]})
    get = _operation("Store the events in `data` of a query, from PostHog's SDKs", _json(success), kept)
    return {
        "post": {**post, "parameters": [_query("api_key")], "requestBody": body},
        "get": {**get, "parameters": [_query("api_key"), _query("data")]},
    }


OPERATIONS: Final[dict[str, Callable[[str], Json]]] = {
    "segment": _segment,
    "snowplow": _snowplow,
    "matomo": _matomo,
    "posthog": _posthog,
}
"""By dialect: the operations of one of its paths."""


def _document(summary: str) -> Json:
    """The operations of a settings document. The key is in its path, or in the head."""
    response = {"200": {"description": "the document", "content": _json(_ANY)}}
    get = {
        "summary": summary,
        "security": _WRITE_KEY,
        "parameters": [_query("writeKey")],
        "responses": {**response, **_refusals(("400", "404", "431", "503"))},
    }
    return {"get": get, "head": {**get, "summary": f"{summary}, without its body"}}


def _operation(summary: str, content: Json, refusals: "dict[str, str] | list[str]") -> Json:
    stored = {"description": _SETTLED, "headers": _STORED, "content": content}
    return {"summary": summary, "responses": {"200": stored, **_refusals(tuple(refusals))}}


def _refusals(statuses: tuple[str, ...]) -> Json:
    return {status: {"$ref": f"#/components/responses/Refused{status}"} for status in statuses}


def _body(schema: Json) -> Json:
    """A body of JSON. Any content type is accepted, and gzip is detected by its first two bytes."""
    description = "JSON under any content type, plain or gzip"
    return {"required": True, "description": description, "content": _json(schema)}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _query(name: str) -> Json:
    return {"name": name, "in": "query", "schema": {"type": "string"}}
