"""The content of dead letters: every encoding gives the raw bytes back, and no line is longer than the log allows."""

import json
import random
import re
from base64 import b64encode
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector.dead_letters.content import LINE_BYTES, PART_BYTES, Encoding, contents, raw_of
from wal.format import MAX_LINE_BYTES

ROOM = 4096
ENCODINGS: dict[bytes, Encoding] = {b'"%b"' % name.encode(): name for name in get_args(Encoding)}
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
UNITS = st.one_of(
    st.binary(max_size=64),
    st.text(max_size=64).map(str.encode),
    st.builds(lambda value, indent: json.dumps(value, indent=indent).encode(), JSON_VALUES, st.sampled_from([None, 1])),
)
TIMES = st.just(1) | st.integers(0, 40_000)
RAWS = st.one_of(
    st.builds(lambda unit, times, end: unit * times + end, UNITS, TIMES, st.binary(max_size=2)),
    st.builds(lambda seed, size: random.Random(seed).randbytes(size), st.integers(0, 9), st.integers(0, 3 << 20)),
)


def _lines(raw: bytes, room: int = ROOM) -> list[dict[str, Any]]:
    """The content of each line, as a reader decodes it."""
    return [
        msgspec.json.decode(msgspec.json.encode(content), type=dict[str, msgspec.Raw])
        for content in contents(raw, room)
    ]


def _encoding_of(lines: list[dict[str, Any]]) -> Encoding:
    (encoding,) = {bytes(line["encoding"]) for line in lines}
    return ENCODINGS[encoding]


def _read(lines: list[dict[str, Any]]) -> bytes:
    return raw_of(_encoding_of(lines), [bytes(line["raw"]) for line in lines])


@settings(max_examples=200, deadline=None)
@given(RAWS)
@example(b'{ "":null}')
@example(b'\t[1, "a \\" b" ] ')
@example(b'{ "a b":\n"\\\\", "c" : [ ]}\r')
def test_any_bytes_come_back_as_they_were_and_json_at_least_without_its_whitespace(raw: bytes) -> None:
    lines = _lines(raw)
    read = _read(lines)
    if _encoding_of(lines) != "json":
        assert read == raw
    elif b"\n" in raw or b"\r" in raw:
        assert read == _STRING_OR_SPACE.sub(rb"\1", raw)
    else:
        assert read == raw.strip()


_STRING_OR_SPACE = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')


@settings(max_examples=200, deadline=None)
@given(RAWS)
def test_a_line_is_utf8_without_a_line_break_and_leaves_room_for_its_other_members(raw: bytes) -> None:
    for line in _lines(raw):
        assert len(line["raw"]) < MAX_LINE_BYTES - (64 << 10)
        assert b"\n" not in bytes(line["raw"])
        bytes(line["raw"]).decode()


@settings(max_examples=200, deadline=None)
@given(RAWS)
def test_the_content_is_at_most_a_third_longer_than_the_bytes(raw: bytes) -> None:
    lines = _lines(raw)
    length = sum(len(line["raw"]) for line in lines)
    assert length <= max(len(raw) + ROOM, len(raw) * 4 / 3) + 6 * len(lines), "with quotes and padding"


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (b'{"a":1}', "json"),
        (b'["' + b"x" * (LINE_BYTES - 4) + b'"]', "json"),
        (b'["' + b"x" * (LINE_BYTES - 3) + b'"]', "zstd+base64"),
        (b"[" * 300 + b"]" * 300, "utf-8"),
        (b"", "utf-8"),
        (b"{" * (LINE_BYTES - 2), "utf-8"),
        (b"{" * (LINE_BYTES - 1), "zstd+base64"),
        (b'"' * (ROOM - 2), "utf-8"),
        (b'"' * (ROOM - 1), "base64"),
        (b"\xff" * 3 * ROOM, "base64"),
        (b"\xff" * (3 * ROOM + 1), "zstd+base64"),
        (random.Random(15).randbytes(3 * PART_BYTES), "base64"),
        (random.Random(15).randbytes(PART_BYTES) * 2, "zstd+base64"),
    ],
)
def test_the_encoding_is_the_first_that_is_short(raw: bytes, encoding: str) -> None:
    lines = _lines(raw)
    assert (_encoding_of(lines), _read(lines)) == (encoding, raw)


@pytest.mark.parametrize("encoding", ["utf-8", "base64", "zstd+base64"])
@pytest.mark.parametrize("part", [b"7", b'"x"', b64encode(b"(\xb5/\xfd").join([b'"'] * 2), b'"\\ud800"'])
def test_parts_that_are_not_of_the_encoding_raise_value_error(encoding: Encoding, part: bytes) -> None:
    if (encoding, part[:2]) not in (("utf-8", b'"x'), ("utf-8", b'"K'), ("base64", b'"K')):
        with pytest.raises(ValueError, match=r"\w"):
            raw_of(encoding, [part])
