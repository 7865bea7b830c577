"""Topic, key and headers of a message, by templates, from a record as the collector writes it."""

from typing import Any

import msgspec
import pytest

from collector.ingest.event import Event
from collector.ingest.policy.properties import Registry
from collector.ingest.record import RequestContext, members_of, record_line
from collector.ingest.session import Session
from collector.settings import PropertySettings
from collector.ship.sinks.kafka.messages import Message, Messages
from collector.ship.sinks.kafka.settings import KafkaSinkSettings

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


def test_no_key_is_asked_for_and_none_is_given() -> None:
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


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"id":1}'])
def test_what_is_no_record_is_said_to_be_none(line: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        _message(line)
