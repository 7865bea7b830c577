"""The OpenAPI document against the running collector: what it calls valid is taken, and every answer is as it says."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from collector.config import EVENT_FIELDS
from collector.ingest.query import PARAMETERS
from tests.running import Collector

# Left out: positive_data_acceptance and negative_data_rejection, which know nothing of properties, of JSON in text or
# of redirect hosts (a test below says what must be taken); ignored_auth, since only some properties have keys.
_CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.allow_header_conformance,
]
_KNOWN = {"portal_id": 33167, "prop_id": 564990801}
_STATUSES = {"200", "302", "400", "403", "404", "408", "413", "414", "415", "429", "431", "503"}


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


@pytest.fixture(scope="module")
def document(collector: Collector) -> dict[str, Any]:
    found: dict[str, Any] = collector.send("GET", "/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def operations(collector: Collector) -> list[Any]:
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{collector.port}/openapi.json")
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
def test_every_answer_is_one_that_the_document_describes(
    operations: list[Any], mode: GenerationMode, is_known: bool
) -> None:
    for operation in operations:
        for case in _cases(operation, mode, 30):
            if is_known:
                case.query = {**(case.query if isinstance(case.query, dict) else {}), **_KNOWN}
            case.call_and_validate(checks=_CHECKS)


def test_every_event_that_the_document_calls_valid_is_stored(collector: Collector, operations: list[Any]) -> None:
    post = next(each for each in operations if (each.method, each.path) == ("post", "/event"))
    taken = 0
    for case in _cases(post, GenerationMode.POSITIVE, 300):
        if case.media_type == "application/json" and not _has_fractions(case.body):
            case.query = {**_KNOWN, "resp_type": "json"}
            response = case.call()
            assert response.status_code == 200, (case.body, response.text)
            assert response.json().get("rejected", []) == [], case.body
            taken += 1
    assert taken > 30


def _has_fractions(body: object) -> bool:
    """Whether an id is written as 1.0, an integer to JSON Schema, though not as the document's words have it."""
    events: list[Any] = body if isinstance(body, list) else [body]
    return any(isinstance(event.get(name), float) for event in events for name in ("sid", "aid", "uid"))


def test_the_document_names_every_parameter_field_and_status(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {"/", "/event", "/c/hello"}
    for path in document["paths"].values():
        assert set(path) == {"get", "head", "options", "post"}
        assert {each["name"] for each in path["post"]["parameters"]} == PARAMETERS
        assert {each["name"] for each in path["get"]["parameters"]} >= PARAMETERS | set(EVENT_FIELDS)
        assert set(path["post"]["responses"]) == _STATUSES
    assert document["components"]["schemas"]["Event"]["required"] == list(EVENT_FIELDS)


def test_every_schema_of_the_document_is_one(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


@pytest.mark.parametrize("event", [{"ea": "a", "ec": "c", "sid": 1, "aid": "x", "uid": "u"}, [{"ea": 1}], {"ea": 1}])
def test_answers_fit_the_schemas(collector: Collector, document: dict[str, Any], event: object) -> None:
    answer = collector.post(json.loads(json.dumps(event))).json()
    name = "BatchAnswer" if answer.get("type") == "batch" else "Answer" if "dgs" in answer else "Refusal"
    assert jsonschema_rs.is_valid(document["components"]["schemas"][name], answer)
