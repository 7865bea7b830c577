"""Which segments may go: those that every cursor has passed, oldest first, over their age or over the bytes to keep."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wal.format import Position, SegmentName
from wal.retention import SealedSegment, droppable
from wal.room import NO_SHORTAGE, Shortage

_NOW = 1_000_000
_FOUR = [SealedSegment(SegmentName(number, number * 10), 100, _NOW - 1000 + number * 100) for number in range(1, 5)]
"""Segments 1 to 4, of 100 bytes each, that were sealed 900, 800, 700 and 600 ms ago."""
_KEEP_ALL = 1 << 40


def _numbers(
    sealed: Sequence[SealedSegment],
    cursors: Sequence[Position],
    keep_ms: int = 0,
    keep_bytes: int = _KEEP_ALL,
    shortage: Shortage = NO_SHORTAGE,
) -> list[int]:
    gone = droppable(sealed, cursors, now_ms=_NOW, keep_ms=keep_ms, keep_bytes=keep_bytes, shortage=shortage)
    return [segment.name.number for segment in gone]


def _in(segment: int, offset: int = 148) -> Position:
    return Position(segment, offset, segment * 10)


@pytest.mark.parametrize(
    ("cursors", "keep_ms", "keep_bytes", "expected"),
    [
        pytest.param([], 0, 0, [], id="no consumer: nobody has seen it"),
        pytest.param([_in(5)], 0, 0, [1, 2, 3, 4], id="all passed"),
        pytest.param([_in(3)], 0, 0, [1, 2], id="a cursor in a segment keeps it"),
        pytest.param([_in(3, 10**6)], 0, 0, [1, 2], id="even at its end"),
        pytest.param([_in(1)], 0, 0, [], id="a cursor at the start keeps all"),
        pytest.param([_in(5), _in(2), _in(4)], 0, 0, [1], id="the slowest consumer counts"),
        pytest.param([_in(5)], 800, _KEEP_ALL, [1, 2], id="by age, exactly"),
        pytest.param([_in(5)], 801, _KEEP_ALL, [1], id="by age"),
        pytest.param([_in(5)], 901, _KEEP_ALL, [], id="too young"),
        pytest.param([_in(5)], 901, 400, [], id="exactly the bytes to keep"),
        pytest.param([_in(5)], 901, 399, [1], id="one byte over"),
        pytest.param([_in(5)], 901, 150, [1, 2, 3], id="until it fits"),
        pytest.param([_in(5)], 901, 0, [1, 2, 3, 4], id="no byte to keep"),
        pytest.param([_in(5)], 750, 350, [1, 2], id="by bytes or by age, whichever lets more go"),
        pytest.param([_in(2)], 901, 0, [1], id="over the bytes, but not delivered"),
    ],
)
def test_what_goes(cursors: list[Position], keep_ms: int, keep_bytes: int, expected: list[int]) -> None:
    assert _numbers(_FOUR, cursors, keep_ms, keep_bytes) == expected


@pytest.mark.parametrize(
    ("cursors", "shortage", "expected"),
    [
        pytest.param([_in(5)], Shortage(), [], id="not short"),
        pytest.param([_in(5)], Shortage(bytes=1), [1], id="one byte is missing"),
        pytest.param([_in(5)], Shortage(bytes=100), [1], id="exactly a segment"),
        pytest.param([_in(5)], Shortage(bytes=101), [1, 2], id="more than a segment"),
        pytest.param([_in(5)], Shortage(files=3), [1, 2, 3], id="inodes are missing"),
        pytest.param([_in(5)], Shortage(bytes=101, files=3), [1, 2, 3], id="the larger of both"),
        pytest.param([_in(5)], Shortage(bytes=10**9, files=10**9), [1, 2, 3, 4], id="all, and it is not enough"),
        pytest.param([_in(5), _in(2)], Shortage(bytes=10**9), [1], id="what no sink has passed stays"),
        pytest.param([], Shortage(bytes=10**9), [], id="what has no consumer stays"),
    ],
)
def test_a_short_disk_gets_delivered_segments_whatever_their_retention(
    cursors: list[Position], shortage: Shortage, expected: list[int]
) -> None:
    assert _numbers(_FOUR, cursors, keep_ms=10**9, shortage=shortage) == expected


def test_a_clock_that_was_set_back_makes_no_segment_old() -> None:
    from_tomorrow = [SealedSegment(SegmentName(1, 1), 100, _NOW + 86_400_000)]
    assert _numbers(from_tomorrow, [_in(5)], keep_ms=1) == []
    assert _numbers(from_tomorrow, [_in(5)], keep_ms=0) == [1]


def test_an_empty_log_has_nothing_to_go() -> None:
    assert _numbers([], [_in(5)]) == []


@st.composite
def _logs(draw: st.DrawFn) -> list[SealedSegment]:
    first = draw(st.integers(1, 5))
    sizes = draw(st.lists(st.tuples(st.integers(148, 10_000), st.integers(0, 2 * _NOW)), max_size=12))
    return [
        SealedSegment(SegmentName(number, number * 10), length, sealed_ms)
        for number, (length, sealed_ms) in enumerate(sizes, first)
    ]


_cursors = st.lists(st.builds(_in, st.integers(1, 20), st.integers(148, 10_000)), max_size=4)


@given(_logs(), _cursors, st.integers(0, _NOW), st.integers(0, 50_000))
def test_never_a_segment_that_a_cursor_has_not_passed_and_never_with_a_gap(
    sealed: list[SealedSegment], cursors: list[Position], keep_ms: int, keep_bytes: int
) -> None:
    gone = _numbers(sealed, cursors, keep_ms, keep_bytes)
    assert gone == [segment.name.number for segment in sealed[: len(gone)]]
    assert all(cursor.segment > number for cursor in cursors for number in gone)
    assert cursors or not gone


@given(_logs(), st.integers(0, _NOW), st.integers(0, 50_000))
def test_what_is_delivered_goes_exactly_while_it_is_too_old_or_too_much(
    sealed: list[SealedSegment], keep_ms: int, keep_bytes: int
) -> None:
    gone = len(_numbers(sealed, [_in(100)], keep_ms, keep_bytes))
    reasons = [
        sum(later.length for later in sealed[at:]) > keep_bytes or max(0, _NOW - segment.sealed_ms) >= keep_ms
        for at, segment in enumerate(sealed)
    ]
    assert all(reasons[:gone])
    assert gone == len(sealed) or not reasons[gone]
