"""Header lines: what is encoded decodes to itself, and nothing else decodes at all."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wal.format import (
    BLOCK_KIND,
    FIELDS,
    HEADER_BYTES,
    SEGMENT_KIND,
    Header,
    Position,
    crc32c,
    decode_header,
    encode_header,
    payload_fault,
)

_PAYLOAD = b'{"a":1}\n{"a":2}\n'
_LINE = (
    b'["EVB1","3f9c2a7100112233",         1,         148,               1,      2,        16,         148,'
    b'1700000000000,"da882369","d06b50b4","edd2d571"]\n'
)
_WIDTHS = {name: width for name, _, width in FIELDS}
_FIRST = {name: first for name, first, _ in FIELDS}


def _decimal(name: str) -> st.SearchStrategy[int]:
    """All that fits, with the ends of the range among it."""
    return st.integers(0, 10 ** _WIDTHS[name] - 1)


_crcs = st.integers(0, 2**32 - 1)
_headers = st.builds(
    Header,
    kind=st.sampled_from([SEGMENT_KIND, BLOCK_KIND]),
    log_id=st.binary(min_size=8, max_size=8).map(lambda raw: raw.hex().encode()),
    **{name: _decimal(name) for name, *_ in FIELDS[2:9]},
    previous=_crcs,
    payload_crc=_crcs,
    header_crc=st.just(0),
)


def _encode(header: Header) -> tuple[bytes, int]:
    return encode_header(
        header.kind,
        header.log_id,
        Position(header.segment, header.offset, header.sequence),
        records=header.records,
        length=header.length,
        durable=header.durable,
        timestamp_ms=header.timestamp_ms,
        previous=header.previous,
        payload_crc=header.payload_crc,
    )


def _resigned(line: bytes) -> bytes:
    """The line with the CRC that its bytes need, so that nothing but its form is wrong."""
    return b'%b%08x"]\n' % (line[:137], crc32c(line[:137]))


@given(_headers)
def test_a_header_decodes_to_what_was_encoded(header: Header) -> None:
    line, crc = _encode(header)
    assert len(line) == HEADER_BYTES
    assert decode_header(line) == header._replace(header_crc=crc)


@given(_headers)
def test_a_header_is_one_line_of_json_with_each_field_in_its_place(header: Header) -> None:
    line, crc = _encode(header)
    assert line.index(b"\n") == HEADER_BYTES - 1
    values = json.loads(line)
    assert values[2:9] == list(header[2:9])
    assert [int(value, 16) for value in values[9:]] == [header.previous, header.payload_crc, crc]
    for (_, first, width), value in zip(FIELDS, values, strict=True):
        assert line[first : first + width].decode() == str(value).rjust(width)


def test_the_line_in_the_design_decodes_and_encodes_again() -> None:
    header = decode_header(_LINE)
    assert header is not None
    assert header[:9] == (b"EVB1", b"3f9c2a7100112233", 1, 148, 1, 2, 16, 148, 1_700_000_000_000)
    assert _encode(header) == (_LINE, header.header_crc)
    assert payload_fault(header, _PAYLOAD) is None
    assert header.end == 148 + HEADER_BYTES + len(_PAYLOAD)


def test_the_checksum_is_crc32c() -> None:
    assert (crc32c(b"123456789"), crc32c(b"")) == (0xE3069283, 0)


def test_a_header_with_any_single_byte_replaced_is_refused() -> None:
    for place in range(HEADER_BYTES):
        for byte in set(range(256)) - {_LINE[place]}:
            assert decode_header(_LINE[:place] + bytes([byte]) + _LINE[place + 1 :]) is None, (place, byte)


@given(st.data())
def test_a_header_with_several_bytes_replaced_is_refused(data: st.DataObject) -> None:
    edits = data.draw(st.dictionaries(st.integers(0, HEADER_BYTES - 1), st.integers(1, 255), min_size=1, max_size=6))
    changed = bytes(byte ^ edits.get(place, 0) for place, byte in enumerate(_LINE))
    assert decode_header(changed) is None


def test_a_header_that_is_cut_or_has_bytes_around_it_is_refused() -> None:
    for length in range(HEADER_BYTES):
        assert decode_header(_LINE[:length]) is None
    assert decode_header(_LINE + b"\n") is None
    assert decode_header(_LINE[1:] + b"[") is None


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(line: bytes) -> None:
    assert decode_header(line) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"         1,", b"0000000001,", id="zero-padded"),
        pytest.param(b"         1,", b"1         ,", id="left-aligned"),
        pytest.param(b"         1,", b"        +1,", id="signed"),
        pytest.param(b"         1,", b"\t\t\t\t\t\t\t\t\t1,", id="tabs"),
        pytest.param(b"         1,", b"          ,", id="no digits"),
        pytest.param(b"1700000000000", b"1_00000000000", id="grouped"),
        pytest.param(b"da882369", b"DA882369", id="upper case"),
        pytest.param(b"da882369", b"0x882369", id="prefixed"),
        pytest.param(b"da882369", b"  882369", id="space-padded hexadecimal"),
        pytest.param(b"EVB1", b"EVB2", id="another version"),
        pytest.param(b'["EVB1', b"['EVB1", id="another quote"),
    ],
)
def test_another_spelling_is_refused_even_with_a_matching_crc(old: bytes, new: bytes) -> None:
    changed = _resigned(_LINE.replace(old, new))
    assert len(changed) == HEADER_BYTES
    assert changed[:137] != _LINE[:137]
    assert decode_header(changed) is None


@pytest.mark.parametrize("name", [name for name, *_ in FIELDS[2:9]])
def test_a_number_may_fill_its_field_and_no_more(name: str) -> None:
    header = decode_header(_LINE)
    assert header is not None
    values, limit = header._asdict(), 10 ** _WIDTHS[name]
    assert len(_encode(Header(**values | {name: limit - 1}))[0]) == HEADER_BYTES
    with pytest.raises(ValueError, match="wider than its field"):
        _encode(Header(**values | {name: limit}))


def test_the_fields_stand_one_behind_the_other_and_fill_the_line() -> None:
    gaps = [_FIRST[after] - _FIRST[name] - _WIDTHS[name] for (name, *_), (after, *_) in pairwise(FIELDS)]
    assert set(gaps) <= {1, 2, 3}
    assert (_FIRST["kind"], _FIRST["header_crc"] + _WIDTHS["header_crc"]) == (len('["'), HEADER_BYTES - len('"]\n'))
    assert tuple(name for name, *_ in FIELDS) == Header._fields


def _announced(payload: bytes, **other: int) -> Header:
    header = decode_header(_LINE)
    assert header is not None
    described = {"length": len(payload), "records": payload.count(b"\n"), "payload_crc": crc32c(payload)}
    return Header(**header._asdict() | described | other)


@pytest.mark.parametrize(
    ("payload", "other", "fault"),
    [
        (_PAYLOAD, {}, None),
        (b"", {}, None),
        (_PAYLOAD, {"length": 15}, "16 bytes"),
        (_PAYLOAD, {"payload_crc": 0}, "another CRC"),
        (_PAYLOAD, {"records": 1}, "number of lines"),
        (_PAYLOAD, {"records": 3}, "number of lines"),
        (b'{"a":1}\n{"a":2}', {}, "number of lines"),
        (b"", {"records": 1}, "number of lines"),
    ],
)
def test_a_payload_is_the_announced_one_or_has_a_named_fault(
    payload: bytes, other: dict[str, int], fault: str | None
) -> None:
    found = payload_fault(_announced(payload, **other), payload)
    assert found is None if fault is None else found is not None and fault in found


def test_a_payload_with_any_bit_flipped_is_refused() -> None:
    for place in range(len(_PAYLOAD)):
        for bit in range(8):
            changed = bytearray(_PAYLOAD)
            changed[place] ^= 1 << bit
            assert payload_fault(_announced(_PAYLOAD), bytes(changed)) is not None


def test_positions_of_a_log_compare_in_the_order_of_the_log() -> None:
    places = [Position(1, 148, 1), Position(1, 400, 3), Position(2, 148, 3), Position(2, 296, 3), Position(10, 148, 4)]
    assert all(before < after for before, after in pairwise(places))
