"""The OpenAPI document and the running collector: valid requests are accepted, and every response is as described."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from collector.ingest.dialects.table import patterns, served
from collector.ingest.openapi import openapi
from collector.ingest.query import PARAMETERS
from collector.settings import EVENT_FIELDS, ServerSettings, Settings
from tests.running import Collector

# Left out: positive_data_acceptance and negative_data_rejection, which know nothing of properties, of JSON in text or
# of redirect hosts (tests below compare valid with accepted requests, both ways); missing_required_header, since
# none is required; ignored_auth, since only some properties have keys; ensure_resource_availability, use_after_free and
# object_level_authorization, since no operation makes a resource.
_CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.allow_header_conformance,
    checks.unsupported_method,
]
_KNOWN = {"portal_id": 33167, "prop_id": 564990801}
_ID = "33167.564990801"
_KNOWN_TO_DIALECTS = {"writeKey": _ID, "aid": _ID, "idsite": _ID, "api_key": _ID}
"""The parameters that name a property in queries of dialects."""
_FOR_EVENTS = {"/", "/event", "/c/hello"}
_EVENT: dict[str, Any] = {"ea": "view", "ec": "product", "sid": 6320, "aid": "a-1", "uid": "u-1"}
_NAMES = [*_EVENT, "context", "extra", "dims", "items", "event_id", "et", "sent_at", "lost"]
_MISSING: Any = "missing"
_TEXTS: list[Any] = [
    _MISSING,
    "",
    "a",
    "x" * 255,
    "x" * 256,
    "\U0001f600" * 255,
    "\U0001f600" * 256,
    "\0",
    1,
    None,
    [],
    {},
]
_IDS = [*_TEXTS, 0, -1, 10**30, True, 1.5]
_SID_TEXTS = [
    "1" + "0" * 18,
    "8" * 19,
    str(2**63 - 1),
    str(2**63),
    "1" + "0" * 19,
    str(2**63 - 1).rjust(255, "0"),
    str(2**63).rjust(255, "0"),
    "0" * 255,
    "0" * 256,
]
_SIDS: list[Any] = [
    0,
    1,
    2**63 - 1,
    2**63,
    -1,
    "0",
    "12",
    "0" * 17 + "1",
    *_SID_TEXTS,
    "",
    "x",
    "-1",
    " 1",
    "1\n",
    "\u0663",
    None,
    True,
    [],
    1.5,
]
_OBJECTS: list[Any] = [{}, {"a": [1]}, [], "", "{}", None, 1]
_BODY_VALUES: dict[str, list[Any]] = {
    **{"ea": _TEXTS, "ec": _TEXTS, "sid": [_MISSING, *_SIDS], "aid": _IDS, "uid": _IDS},
    **{"context": _OBJECTS, "extra": _OBJECTS, "dims": _OBJECTS, "items": [[], [{}], [{}, 1], {}, "[]", None]},
    "event_id": [*_TEXTS, "x" * 100, "x" * 101, "\u00e9" * 100],
    "et": [_MISSING, 0, 1795833650209, "2026-11-28T00:00:00Z", "x", ""],
    "sent_at": [_MISSING, 0, 1795833650209, "x"],
    "lost": [_MISSING, 0, 3, 10**30],
    "anything": [None, [1.5], "x"],
}
_JSONS = ["", "{}", ' {"a":1}\n', "[]", "[{}]", "[1]", "{", "null", "x", "{} {}"]
_QUERY_VALUES: dict[str, list[str]] = {
    **{name: [each for each in _TEXTS if isinstance(each, str)] for name in ("ea", "ec", "aid", "uid")},
    **{"event_id": [_MISSING, "x" * 100, "x" * 101, ""], "et": [_MISSING, "x"], "sent_at": [_MISSING, "1795833650209"]},
    "lost": [_MISSING, "3"],
    "sid": [_MISSING, "0", *_SID_TEXTS, "-1", "", "x", "1.0", " 1", "\u0663"],
    **dict.fromkeys(("context", "extra", "dims", "items"), _JSONS),
}
_STATUSES = {"200", "302", "400", "403", "404", "408", "413", "414", "415", "429", "431", "503"}


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


@pytest.fixture(scope="module")
def document(collector_at_length: Collector) -> dict[str, Any]:
    found: dict[str, Any] = collector_at_length.send("GET", "/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def operations(collector_at_length: Collector) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{collector_at_length.port}/openapi.json")
    results: list[Any] = list(schema.get_all_operations())
    return [result.ok() for result in results]


def _cases(operation: Any, mode: GenerationMode, examples: int) -> Iterator[Any]:
    found: list[Any] = []

    @_settings(examples)
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        found.append(case)

    collect()
    yield from found


@pytest.mark.parametrize("is_known", [True, False], ids=["known property", "any property"])
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_response_is_described_by_the_document(
    operations: list[Any], mode: GenerationMode, is_known: bool
) -> None:
    for operation in operations:
        if operation.path in _FOR_EVENTS:
            for case in _cases(operation, mode, 4):
                if is_known:
                    case.query = {**(case.query if isinstance(case.query, dict) else {}), **_KNOWN}
                case.call_and_validate(checks=_CHECKS)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_response_to_a_dialect_is_described_by_the_document(operations: list[Any], mode: GenerationMode) -> None:
    """One path for each dialect, method and kind of path; the others differ in the path alone.

    The document has the methods that SDKs use, and `Allow` all that are served: so that check is left out.
    """
    others = [each for each in operations if each.path not in _FOR_EVENTS and each.method != "options"]
    chosen = {(*each.definition.raw["tags"], each.method, "{" in each.path): each for each in others}
    assert len(chosen) > 10
    for operation in chosen.values():
        for at, case in enumerate(_cases(operation, mode, 4)):
            if at % 2:
                case.query = {**(case.query if isinstance(case.query, dict) else {}), **_KNOWN_TO_DIALECTS}
            case.call_and_validate(checks=[each for each in _CHECKS if each is not checks.allow_header_conformance])


def test_the_document_has_each_path_of_each_dialect_and_each_settings_document(document: dict[str, Any]) -> None:
    dialects = served(ServerSettings())
    assert {path for dialect in dialects for path in dialect.paths} <= set(document["paths"])
    examples = {path.format(type="t", folder="a", key="k").encode() for path in document["paths"]}
    for name, pattern in [each for dialect in dialects for each in patterns(dialect)]:
        assert any(map(pattern.fullmatch, examples)), name


def test_the_document_has_no_path_of_a_dialect_that_is_turned_off() -> None:
    server = ServerSettings(dialects=("snowplow",), snowplow_path="/com.example/sp")
    found = json.loads(openapi(["/event"], Settings(server=server)))
    assert set(found["paths"]) == {"/event", "/com.snowplowanalytics.snowplow/tp2", "/i", "/com.example/sp"}
    bodies = found["paths"]["/event"]["post"]["requestBody"]["content"]
    assert [name for name in bodies if "cloudevents" in name] == []


def test_each_path_of_the_document_that_is_a_dialect_s_is_served(
    collector_at_length: Collector, document: dict[str, Any]
) -> None:
    for path in set(document["paths"]) - _FOR_EVENTS:
        answer = collector_at_length.send("OPTIONS", path.format(type="track", folder="shop/stats", key=_ID))
        assert (path, answer.status) == (path, 204)


@pytest.mark.parametrize("media", ["application/cloudevents+json", "application/cloudevents-batch+json"])
def test_cloud_events_that_are_valid_by_the_document_are_stored(
    collector_at_length: Collector, document: dict[str, Any], operations: list[Any], media: str
) -> None:
    post = next(each for each in operations if (each.method, each.path) == ("post", "/event"))
    taken = 0
    for case in _cases(post, GenerationMode.POSITIVE, 100):
        if case.media_type == media and case.body:
            case.query = {"id": "33167.2"}
            response = case.call()
            assert (response.status_code, response.json()["rejected"]) == (200, 0), case.body
            assert jsonschema_rs.is_valid(document["components"]["schemas"]["CloudEventsResponse"], response.json())
            taken += 1
    assert taken > 2


def test_every_event_valid_by_the_document_is_stored(collector_at_length: Collector, operations: list[Any]) -> None:
    post = next(each for each in operations if (each.method, each.path) == ("post", "/event"))
    taken = 0
    for case in _cases(post, GenerationMode.POSITIVE, 50):
        if case.media_type == "application/json" and not _has_fractions(case.body):
            case.query = {**_KNOWN, "resp_type": "json"}
            response = case.call()
            assert response.status_code == 200, (case.body, response.text)
            assert response.json().get("rejected", []) == [], case.body
            taken += 1
    assert taken > 5


def _has_fractions(body: object) -> bool:
    """Whether an id is written as 1.0, an integer for JSON Schema, but not by the descriptions of the document."""
    events: list[Any] = body if isinstance(body, list) else [body]
    return any(isinstance(event.get(name), float) for event in events for name in ("sid", "aid", "uid"))


def test_an_event_is_stored_if_and_only_if_it_is_valid_by_the_document(
    collector_at_length: Collector, document: dict[str, Any]
) -> None:
    schema = document["components"]["schemas"]["Event"]

    @_settings(150)
    @given(_changes(_BODY_VALUES))
    def check(changes: dict[str, Any]) -> None:
        event = _without_missing({**_EVENT, **changes})
        response = collector_at_length.post(event)
        assert response.status == (200 if jsonschema_rs.is_valid(schema, event) else 400), response.body
        wrong = [error["field"] for error in response.json().get("errors", [])]
        assert wrong == [name for name in _NAMES if not _is_right(schema, event, name)]

    check()


@pytest.mark.parametrize("sid", _SIDS, ids=repr)
def test_a_session_id_is_accepted_if_and_only_if_it_is_valid_by_the_document(
    collector_at_length: Collector, document: dict[str, Any], sid: Any
) -> None:
    schema = document["components"]["schemas"]["Event"]["properties"]["sid"]
    assert collector_at_length.post({**_EVENT, "sid": sid}).status == (
        200 if jsonschema_rs.is_valid(schema, sid) else 400
    )


def test_a_query_is_stored_if_and_only_if_its_parameters_are_valid_by_the_document(
    collector_at_length: Collector, document: dict[str, Any]
) -> None:
    parameters = document["paths"]["/event"]["get"]["parameters"]

    @_settings(100)
    @given(_changes(_QUERY_VALUES))
    def check(changes: dict[str, str]) -> None:
        fields = _without_missing({**_EVENT, **_KNOWN, "resp_type": "json", **changes})
        query = {name: str(value) for name, value in fields.items()}
        response = collector_at_length.send("GET", f"/event?{urlencode(query)}")
        is_valid = all(_is_valid(parameter, query.get(parameter["name"])) for parameter in parameters)
        assert response.status == (200 if is_valid else 400), response.body

    check()


def _changes(values: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """A few fields of an event, with one value for each."""
    few = st.sets(st.sampled_from(sorted(values)), max_size=3)
    return few.flatmap(lambda names: st.fixed_dictionaries({name: st.sampled_from(values[name]) for name in names}))


def _without_missing(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not _MISSING}


def _is_right(schema: dict[str, Any], event: dict[str, Any], name: str) -> bool:
    if name not in event:
        return name not in schema["required"]
    return jsonschema_rs.is_valid(schema["properties"][name], event[name])


def _is_valid(parameter: dict[str, Any], value: str | None) -> bool:
    """Whether a query parameter is valid by the document."""
    if value is None:
        return not parameter.get("required", False)
    if "content" in parameter:
        return (value == "" and parameter["allowEmptyValue"]) or _is_valid_json(parameter["content"], value)
    schema = parameter["schema"]
    if schema.get("type") == "integer":
        return value.isascii() and value.isdigit() and jsonschema_rs.is_valid(schema, int(value))
    return jsonschema_rs.is_valid(schema, value)


def _is_valid_json(content: dict[str, Any], text: str) -> bool:
    try:
        return jsonschema_rs.is_valid(content["application/json"]["schema"], json.loads(text))
    except ValueError:
        return False


def test_the_document_is_an_openapi_document(collector_at_length: Collector) -> None:
    schemathesis.openapi.from_url(f"http://127.0.0.1:{collector_at_length.port}/openapi.json").validate()


def test_the_document_names_every_parameter_field_and_status(document: dict[str, Any]) -> None:
    for path in [document["paths"][name] for name in _FOR_EVENTS]:
        assert set(path) == {"get", "head", "options", "post"}
        assert {each["name"] for each in path["post"]["parameters"]} == {*PARAMETERS, "Idempotency-Key"}
        assert {each["name"] for each in path["get"]["parameters"]} == {*PARAMETERS, *_NAMES, "Idempotency-Key"}
        assert set(path["post"]["responses"]) == _STATUSES
    event = document["components"]["schemas"]["Event"]
    assert event["required"] == list(EVENT_FIELDS)
    assert list(event["properties"]) == _NAMES
    answers = document["paths"]["/event"]["post"]["responses"]["200"]["content"]
    assert list(answers) == ["application/json", "text/javascript", "image/gif"]
    headers = document["paths"]["/event"]["post"]["responses"]["200"]["headers"]
    assert set(headers) == {"x-event-ack", "x-event-id", "x-event-duplicate"}


def test_every_schema_of_the_document_is_a_valid_schema(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


@pytest.mark.parametrize("event", [_EVENT, [_EVENT, {"ea": 1}], [{"ea": 1}], {"ea": 1}])
def test_responses_match_the_schemas(collector_at_length: Collector, document: dict[str, Any], event: object) -> None:
    answer = collector_at_length.post(json.loads(json.dumps(event))).json()
    name = "BatchResponse" if answer.get("type") == "batch" else "Response" if "dgs" in answer else "Refusal"
    assert jsonschema_rs.is_valid(document["components"]["schemas"][name], answer)
