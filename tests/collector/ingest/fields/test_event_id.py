"""Ids that clients chose: kept as sent where they fit, else as their digest, which is the same for the same id."""

import pytest
from msgspec import UNSET

from collector.ingest.event import Event
from collector.ingest.fields.event_id import event_id, identify, key_of


@pytest.mark.parametrize("text", ["order-1", "x" * 100, "a b/c:d", '"'])
def test_an_id_of_printable_ascii_is_kept(text: str) -> None:
    assert event_id(text) == text


@pytest.mark.parametrize("text", ["x" * 101, "\u00e9", "\ud800", "\0", "\n"])
def test_any_other_id_is_kept_as_its_digest(text: str) -> None:
    found = event_id(text)
    assert (len(found), found, found.isascii()) == (32, event_id(text), True)
    assert found != event_id(text + "x")


@pytest.mark.parametrize(
    ("header", "key"),
    [(b"k-1", "k-1"), (b' "k-1" ', "k-1"), (b"", ""), (b'""', ""), (b"x" * 94, "x" * 94)],
)
def test_a_key_of_a_request_may_be_quoted(header: bytes, key: str) -> None:
    assert key_of(header) == key


def test_a_key_leaves_room_for_the_index_in_a_batch() -> None:
    assert len(key_of(b"x" * 95)) == 32


def test_the_id_of_the_event_counts_before_the_key_of_its_request() -> None:
    with_id, without = Event(event_id="e"), Event()
    for event in (with_id, without):
        identify(event, "k")
    assert (with_id.event_id, without.event_id) == ("e", "k")
    nothing = Event()
    identify(nothing, "")
    assert nothing.event_id is UNSET
