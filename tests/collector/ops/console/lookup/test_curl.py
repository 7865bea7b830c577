"""The command that sends an event again is safe to paste, whatever the event holds."""

import json
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.ops.console.lookup.curl import curl_command
from collector.settings import PropertySettings

_URL = "http://127.0.0.1:8080/event"
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _record(event: str) -> bytes:
    return f'{{"id":"a-1","portal_id":1,"prop_id":2,"event":{event}}}'.encode()


@settings(deadline=None)
@given(event=st.dictionaries(st.text(), _VALUES, max_size=3), is_ascii=st.booleans())
def test_a_shell_reads_the_same_event_from_one_line_of_printable_ascii(
    event: dict[str, object], is_ascii: bool
) -> None:
    command = curl_command(_URL, _record(json.dumps(event, ensure_ascii=is_ascii)), None)
    assert command
    assert command.isascii()
    assert command.isprintable()
    program, *arguments = shlex.split(command)
    assert program == "curl"
    assert len(arguments) == 6
    assert json.loads(arguments[-1]) == event


@pytest.mark.parametrize(
    "hostile", ["'; rm -rf ~; '", "\u202e\u200b\x7f", "a\\'b", "$(id)`id`", "\u2028", "%0a", "-d @/etc/passwd"]
)
def test_text_that_means_something_to_a_shell_or_a_terminal_stays_text(hostile: str) -> None:
    command = curl_command(_URL, _record(json.dumps({"ea": hostile}, ensure_ascii=False)), None)
    assert command
    assert json.loads(shlex.split(command)[-1]) == {"ea": hostile}
    assert command.count("'") == 6


def test_white_space_between_members_stays_on_the_line() -> None:
    command = curl_command(_URL, _record('{"ea":\r"a",\t"ec":"b"}'), None)
    assert command
    assert shlex.split(command)[-1] == '{"ea": "a", "ec":"b"}'


@pytest.mark.parametrize(
    "record", [b"", b"{", b'{"portal_id":1}', b'{"portal_id":1,"prop_id":2,"event":"\xff"}', b"[]"]
)
def test_of_a_line_that_is_no_record_there_is_no_command(record: bytes) -> None:
    assert curl_command(_URL, record, None) is None


def test_a_write_key_stands_as_its_variable() -> None:
    prop = PropertySettings(1, 2, write_keys=("env:SHOP_KEY",))
    command = curl_command(_URL, _record("{}"), prop)
    assert command
    assert ' -H "x-write-key: $SHOP_KEY" ' in command
