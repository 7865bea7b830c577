"""CloudEvents out of the http and kafka sinks, as the official library reads them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from cloudevents.core.formats.json import JSONFormat

from collector.errors import BatchRefused
from collector.ship.batch import Batch, Part, Record
from collector.ship.formats.cloudevents import BATCH_TYPE, attributes_of, batch_of
from collector.ship.sinks.http.settings import HttpSinkSettings
from collector.ship.sinks.http.sink import HttpSink
from collector.ship.sinks.kafka.settings import KafkaSinkSettings
from collector.ship.sinks.kafka.sink import KafkaSink
from tests.collector.ship.batches import ELEVEN_MS, LOG_ID, batch, deliver, part, record
from tests.collector.ship.test_http_sink import responding
from tests.destinations.http import HttpReceiver
from tests.kafka.mock import MockCluster
from tests.kafka.topics import committed

_BATCH = batch(part(ELEVEN_MS, 1, 3), part(ELEVEN_MS + 5, 4))
_LINES = [event.line for event in _BATCH.events()]


def _line(**members: Any) -> bytes:
    sent = {"id": "a-1", "received_at": 5, "portal_id": 1, "prop_id": 2, "event": {"ea": "view", "ec": "page"}}
    return msgspec.json.encode({name: value for name, value in (sent | members).items() if value is not ...})


def _check(event: BaseCloudEvent, line: bytes) -> None:
    """Whether an event is what the record says, and has the whole record as its data."""
    kept = json.loads(line)
    assert event.get_specversion() == "1.0"
    assert event.get_id() == kept["id"]
    assert event.get_source() == "/33167/2"
    assert event.get_type() == "product.view"
    assert event.get_time() == datetime.fromtimestamp(kept["occurred_at"] / 1000, UTC)
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == kept


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ("a-1", "/1/2", "page.view", "1970-01-01T00:00:00.005Z")),
        ({"occurred_at": 1_795_833_789_712}, ("a-1", "/1/2", "page.view", "2026-11-28T02:43:09.712Z")),
        ({"occurred_at": 10**13 - 1}, ("a-1", "/1/2", "page.view", "2286-11-20T17:46:39.999Z")),
        ({"event": {"ea": "view"}}, ("a-1", "/1/2", "view", "1970-01-01T00:00:00.005Z")),
        ({"event": {"ec": "page", "ea": 7}}, ("a-1", "/1/2", "page", "1970-01-01T00:00:00.005Z")),
        ({"event": {}}, ("a-1", "/1/2", "event", "1970-01-01T00:00:00.005Z")),
        ({"event": {"ea": "a\nb", "ec": "é c"}}, ("a-1", "/1/2", "é c.a\ufffdb", "1970-01-01T00:00:00.005Z")),
    ],
)
def test_attributes_follow_from_the_record(members: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert attributes_of(_line(**members)) == expected


_NO_RECORDS = [
    b"",
    b"{}",
    b"no JSON",
    b"[" * 100_000,
    b'{"id":"\xff"}',
    _line(id=5),
    _line(event=5),
    _line(event=...),
    _line(received_at="never"),
    _line(occurred_at=-1),
    _line(occurred_at=10**13),
]


@pytest.mark.parametrize("line", _NO_RECORDS)
def test_a_line_that_is_not_a_record_is_named(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        attributes_of(line)
    with pytest.raises(ValueError, match="event 8 is not a record: "):
        batch_of([Record(5, 7, _line()), Record(5, 8, line)])


def test_a_batch_is_the_same_bytes_every_time() -> None:
    expected = (
        b'[{"specversion":"1.0","id":"a-1","source":"/1/2","type":"page.view","time":"1970-01-01T00:00:00.005Z",'
        b'"datacontenttype":"application/json","data":%b}]'
    ) % _line()
    assert [batch_of(iter([Record(5, 7, _line())])) for _ in range(2)] == [expected, expected]


def test_the_http_sink_posts_a_batch_of_events_that_have_the_records_byte_for_byte() -> None:
    many = batch(part(ELEVEN_MS, 1, 250))
    with responding() as there:
        deliver(HttpSink(HttpSinkSettings(url=there.url, body="cloudevents"), "http"), many)
    (request,) = there.requests
    assert request.headers["content-type"] == BATCH_TYPE
    events = [JSONFormat().read(None, json.dumps(event)) for event in json.loads(request.inflated)]
    lines = [event.line for event in many.events()]
    assert len(events) == len(lines)
    for event, line in zip(events, lines, strict=True):
        _check(event, line)
        assert b'"data":%b}' % line in request.inflated


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[HttpReceiver]:
    destination = HttpReceiver(tmp_path)
    yield destination
    destination.close()


def test_a_receiver_of_events_has_each_record_once(receiver: HttpReceiver) -> None:
    url = receiver.toml().partition('url = "')[2].partition('"')[0]
    sink = HttpSink(HttpSinkSettings(url=url, body="cloudevents"), "http")
    deliver(sink, _BATCH, _BATCH)
    assert receiver.arrived() == _LINES


def test_the_http_sink_refuses_a_batch_with_a_line_that_is_not_a_record_so_that_the_others_can_go() -> None:
    bad = Batch(LOG_ID, "t", (Part(ELEVEN_MS, 1, 2, record(1) + b'{"no":"record"}\n'),))
    with responding() as there:
        sink = HttpSink(HttpSinkSettings(url=there.url, body="cloudevents"), "http")
        with pytest.raises(BatchRefused, match="event 2 is not a record"):
            deliver(sink, bad)
        assert there.requests == []


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    made = MockCluster("events.web", "tracklog.cursors")
    try:
        yield made
    finally:
        made.close()


_Kafka = tuple[dict[str, bytes], bytes, bytes]


def _kafka(cluster: MockCluster, **settings: Any) -> KafkaSink:
    return KafkaSink(KafkaSinkSettings(brokers=(cluster.address,), format="cloudevents", **settings), "kafka")


def test_the_kafka_sink_adds_the_headers_of_an_event_to_the_record(cluster: MockCluster) -> None:
    deliver(_kafka(cluster, headers={"from": "{source}"}), _BATCH)
    messages = committed(cluster.address, "events.")
    assert [message.value() for message in messages] == _LINES
    for message, line in zip(messages, _LINES, strict=True):
        headers = dict(message.headers() or [])
        assert headers.pop("from") == b"web"
        event = from_kafka_event(KafkaMessage(*cast(_Kafka, (headers, message.key(), message.value()))))
        _check(event, line)
        assert event.get_extension("partitionkey") == json.loads(line)["au_id"]


def test_the_kafka_sink_refuses_a_line_that_is_not_a_record_and_nothing_else(cluster: MockCluster) -> None:
    poison = batch(part(ELEVEN_MS, 5)._replace(payload=b'{"no":"record"}\n'))
    fixed = {"topic": "events.web", "key": "none"}
    deliver(_kafka(cluster, **fixed), _BATCH)
    with pytest.raises(BatchRefused, match="no record"):
        deliver(_kafka(cluster, **fixed), poison, sequence=5)
    deliver(_kafka(cluster, **fixed), batch(part(ELEVEN_MS, 6)), sequence=6)
    assert [message.value() for message in committed(cluster.address, "events.")] == [*_LINES, record(6)[:-1]]
