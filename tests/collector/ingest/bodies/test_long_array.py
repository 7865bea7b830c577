"""A long array is split in slices as it is split at once, whatever its elements are."""

import time
from collections.abc import Generator
from typing import TypeVar

import pytest

from collector.errors import TooLarge
from collector.ingest.bodies import long_array
from collector.ingest.bodies.long_array import elements_of
from collector.ingest.bodies.splitting import split_array
from collector.long_work import SLICE_SECONDS

T = TypeVar("T")

LIMIT = 10_000
NESTED = b'{"ea":"view","items":[%b]}' % b",".join([b'{"ea":1}'] * 100)
SHAPES = {
    "objects": [b'{"ea":"%d","v":"%b"}' % (number, b"a" * 500) for number in range(LIMIT // 2)],
    "one element longer than a piece": [b'{"ea":"%b"}' % (b"a" * (1 << 20)), b'{"ea":1}'],
    "elements that begin in different ways": [b'{"ea":1}', *[b"[]", b'"a"', b"{}"] * 3000],
    "one object among other elements": [b'{"ea":1}', *[b'"%b"' % (b"a" * 500)] * 3000],
}


def drained(steps: Generator[None, None, T]) -> tuple[int, T]:
    """How often the steps yield, and what they return."""
    yields = 0
    while True:
        try:
            next(steps)
            yields += 1
        except StopIteration as end:
            result: T = end.value
            return yields, result


@pytest.mark.parametrize("separator", [b",", b" ,", b",\n  ", b"\r\n,\t"])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_elements_are_those_that_the_decoder_finds_at_once(shape: str, separator: bytes) -> None:
    body = b" [ %b ]\n" % separator.join(SHAPES[shape])
    _, elements = drained(elements_of(body, LIMIT))
    assert elements == SHAPES[shape]


def test_a_text_between_elements_that_occurs_in_them_too_gives_the_elements_or_none() -> None:
    body = b"[%b]" % b",".join([NESTED] * 1000)
    _, elements = drained(elements_of(body, LIMIT))
    assert elements is None or elements == [NESTED] * 1000


def test_other_requests_run_between_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock) * 2 * SLICE_SECONDS)
    body = b"[%b]" % b",".join(SHAPES["objects"])
    yields, _ = drained(elements_of(body, LIMIT))
    assert yields == -(-len(body) // long_array._PIECE_BYTES)


@pytest.mark.parametrize(
    "body",
    [
        b"[%b,]" % b",".join(SHAPES["objects"]),
        b"[%b]" % b",,".join(SHAPES["objects"]),
        b"[%b" % b",".join(SHAPES["objects"]),
        b"[%b]]" % b",".join(SHAPES["objects"]),
        b'[{"a":%b' % (b"[" * 1_000_000),
        b"[,%b]" % b",".join(SHAPES["objects"]),
        b"[%b" % (b" " * 1_000_000),
        b"",
    ],
    ids=["comma at the end", "two commas", "no end", "two ends", "deep", "comma at the begin", "spaces", "empty"],
)
def test_no_elements_are_found_in_a_malformed_array(body: bytes) -> None:
    assert drained(elements_of(body, LIMIT))[1] is None


def test_reading_stops_after_the_limit() -> None:
    body = b"[%b" % b",".join(SHAPES["objects"])  # its end is missing, which is not seen
    _, elements = drained(elements_of(body, 600))
    assert elements is not None
    assert 600 < len(elements) < LIMIT // 4


def test_a_piece_over_the_limit_is_refused() -> None:
    with pytest.raises(TooLarge):
        drained(elements_of(b"[%b]" % b",".join(SHAPES["objects"]), 10))


def test_the_elements_of_a_short_array_are_those_of_the_decoder() -> None:
    assert drained(elements_of(b'[{"ea":1}]', 1)) == (0, list(map(bytes, split_array(b'[{"ea":1}]', 1))))
