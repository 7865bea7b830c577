"""Topic, key and headers of a message, by templates, from a record as the collector writes it."""

from typing import Any

import msgspec
import pytest

from collector.ingest.event import Event
from collector.ingest.policy.properties import Registry
from collector.ingest.record import RequestContext, members_of, record_line
from collector.ingest.session import Session
from collector.settings import PropertySettings, Settings
from collector.settings.faults import read_leniently
from collector.ship.sinks.kafka.messages import Message, Messages
from collector.ship.sinks.kafka.settings import KafkaSinkSettings
from tests.collector.ship.batches import ELEVEN_MS, record

_LOG_ID = b"0123456789abcdef"


def _line(event: bytes = b'{"uid":"u-1"}', source: str = "web") -> bytes:
    """A record of sequence 7, of visitor 42, as it is in the log."""
    settings = PropertySettings(portal_id=1, prop_id=2, source=source)
    prop = Registry([settings]).get(1, 2)
    assert prop
    visit = RequestContext(prop, 1_714_561_200_000, None, None, None, False, [])
    session = Session(42, 1, 42, 1, 1, 1, 1, 1, is_new=True, is_new_client=True, is_new_user=True)
    return record_line(_LOG_ID, 7, visit, members_of(visit), session, Event(), event)[:-1]


def _message(line: bytes, **settings: Any) -> Message:
    return Messages(KafkaSinkSettings(brokers=("x:1",), **settings)).of(line)


def test_by_default_a_visitor_stays_in_one_partition_of_the_topic_of_the_source() -> None:
    assert _message(_line(source="pos")) == Message("events.pos", b"42", None)


def test_the_topic_may_tell_portals_and_properties_apart() -> None:
    assert _message(_line(), topic="{source}-{portal_id}-{prop_id}").topic == "web-1-2"


@pytest.mark.parametrize(
    ("event", "key"),
    [
        (b'{"uid":"u-1"}', b"u-1"),
        (b'{"uid":"8812"}', b"8812"),
        (b'{"uid":8812}', b"8812"),
        (b'{"uid":-5}', b"-5"),
        (b'{"uid":%d}' % 10**200, b"1" + 200 * b"0"),
        ('{"uid":"Hà Nội"}'.encode(), "Hà Nội".encode()),
        (rb'{"uid":"a\"b\u00e9"}', 'a"bé'.encode()),
        (b'{"ea":"view","uid":null}', None),
        (b'{"ea":"view"}', None),
    ],
)
def test_a_user_is_the_key_whether_as_text_or_as_number_and_no_user_is_no_key(event: bytes, key: bytes | None) -> None:
    assert _message(_line(event), key="uid").key == key


def test_without_a_key_in_the_settings_a_message_has_none() -> None:
    assert _message(_line(), key="none") == Message("events.web", None, None)


def test_with_nothing_to_fill_in_a_line_is_not_even_read() -> None:
    headers = {"origin": "tracklog"}
    found = _message(b"no JSON", topic="all", key="none", headers=headers)
    assert found == Message("all", None, [("origin", b"tracklog")])


def test_headers_hold_what_their_templates_say() -> None:
    headers = {"id": "{id}", "from": "{source}/{portal_id}/{prop_id}"}
    expected = [("id", b"0123456789abcdef-7"), ("from", b"web/1/2")]
    assert _message(_line(), headers=headers).headers == expected


def test_headers_differ_from_property_to_property() -> None:
    messages = Messages(KafkaSinkSettings(brokers=("x:1",), headers={"from": "{source}"}))
    assert [messages.of(_line(source=source)).headers for source in ("web", "pos", "web")] == [
        [("from", b"web")],
        [("from", b"pos")],
        [("from", b"web")],
    ]


def test_places_are_not_remembered_without_end() -> None:
    messages = Messages(KafkaSinkSettings(brokers=("x:1",), headers={"from": "{source}"}))
    for number in range(5000):
        assert messages.of(_line(source=f"s-{number}")).headers == [("from", b"s-%d" % number)]
    assert len(messages._by_place) < 5000


IDS = b'"event_id":"e-\xc4\x91 100%","dialect":"segment",'


def test_by_default_a_message_has_the_id_of_the_client_as_a_header_if_there_is_one() -> None:
    messages = Messages(KafkaSinkSettings(brokers=("x:1",)))
    found = [messages.of(record(7, ids=ids)).headers for ids in (IDS, b"", IDS)]
    assert found == [[("event_id", "e-đ 100%".encode())], None, [("event_id", "e-đ 100%".encode())]]


def test_an_event_id_in_the_event_alone_is_no_header() -> None:
    assert _message(record(7, event=b'{"event_id":"e"}')).headers is None


def test_without_headers_in_the_settings_no_message_has_one() -> None:
    assert _message(record(7, ids=IDS), headers={}).headers is None


def test_headers_hold_values_of_the_event_and_a_header_whose_value_it_lacks_is_left_out() -> None:
    headers = {
        "fixed": "100%s",
        "at": "{occurred_at}",
        "kind": "{dialect}",
        "both": "{source}%{event_id}/{dialect}{event_id}",
        "once": "{portal_id}.{prop_id}/{id}",
    }
    messages = Messages(KafkaSinkSettings(brokers=("x:1",), headers=headers))
    fixed, at = ("fixed", b"100%s"), ("at", b"%d" % (ELEVEN_MS + 7 - 90_000))
    once = ("once", b"33167.2/0123456789abcdef-7")
    both = ("both", "we%b%e-đ 100%/segmente-đ 100%".encode())
    assert messages.of(record(7, "we%b", ids=IDS)).headers == [fixed, at, ("kind", b"segment"), both, once]
    assert messages.of(record(7)).headers == [fixed, at, once]
    assert messages.of(record(7, ids=b'"event_id":"e",')).headers == [fixed, at, once]


def test_a_header_names_nothing_that_a_record_does_not_have() -> None:
    table = {"type": "kafka", "brokers": ["x:1"], "headers": {"x": "{uid}"}}
    _, faults = read_leniently({"sink": [table]}, Settings)
    assert "{occurred_at}" in str(faults)
    table["headers"] = {"x": "{source}{portal_id}{prop_id}{id}{event_id}{occurred_at}{dialect}"}
    assert read_leniently({"sink": [table]}, Settings)[1] == []


@pytest.mark.parametrize(
    ("ids", "key"), [(b'"event_id":"0123456789abcdef-7",', b"33167.2/0123456789abcdef-7"), (b"", b"0123456789abcdef-7")]
)
def test_with_keys_by_event_a_copy_has_the_same_key_and_no_other_event_does(ids: bytes, key: bytes) -> None:
    """An id of a client counts in its property alone, and may look like that of a record."""
    line = record(7, ids=ids)
    assert _message(line, key="event_id").key == key
    assert _message(line.replace(b'"prop_id":2', b'"prop_id":3'), key="event_id").key == key.replace(b".2/", b".3/")
    copy = line.replace(b'"id":"0123456789abcdef-7","r', b'"id":"fedcba9876543210-1","r')
    assert (_message(copy, key="event_id").key == key) == bool(ids)


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"id":1}'])
def test_a_line_that_is_not_a_record_is_reported_as_such(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        _message(line)
