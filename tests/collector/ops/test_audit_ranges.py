"""The arithmetic of the audit, compared with sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collector.ops.audit.balance import Claim, fates, passed
from collector.ops.audit.ranges import Range, by_place, count, coverage, minus, overlap, runs

_RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda at: Range(at[0], at[0] + at[1])))
_SETS = _RANGES.map(lambda ranges: coverage(ranges)[0])
_SPAN = Range(10, 50)
_IN_SPAN = _RANGES.map(lambda ranges: [Range(max(each.first, 10), min(each.last, 50)) for each in ranges]).map(
    lambda ranges: [each for each in ranges if each.events > 0]
)


def _numbers(ranges: list[Range]) -> list[int]:
    return [number for each in ranges for number in range(each.first, each.last + 1)]


def _is_set(ranges: list[Range]) -> bool:
    return all(each.events > 0 for each in ranges) and all(a.last + 1 < b.first for a, b in pairwise(ranges))


@given(st.lists(st.integers(1, 30)))
def test_runs_are_the_same_sequences_in_the_same_order(sequences: list[int]) -> None:
    found = runs(sequences)
    assert _numbers(found) == sequences
    assert all(a.last + 1 != b.first for a, b in pairwise(found))


@given(st.integers(1, 30), st.integers(1, 30))
def test_sequences_without_a_gap_are_one_run(first: int, events: int) -> None:
    assert runs(list(range(first, first + events))) == [Range(first, first + events - 1)]


@given(_RANGES)
def test_coverage_is_what_any_range_has_and_what_two_have(ranges: list[Range]) -> None:
    once, twice = coverage(ranges)
    numbers = _numbers(ranges)
    assert _is_set(once)
    assert _is_set(twice)
    assert set(_numbers(once)) == set(numbers)
    assert set(_numbers(twice)) == {number for number in numbers if numbers.count(number) > 1}


@given(_SETS, _SETS)
def test_overlap_and_difference_are_those_of_sets_of_numbers(left: list[Range], right: list[Range]) -> None:
    for found, expected in (
        (overlap(left, right), set(_numbers(left)) & set(_numbers(right))),
        (minus(left, right), set(_numbers(left)) - set(_numbers(right))),
    ):
        assert _is_set(found)
        assert set(_numbers(found)) == expected
        assert count(found) == len(expected)


@given(_SETS, st.lists(st.tuples(st.sampled_from("abc"), _SETS), max_size=3, unique_by=lambda place: place[0]))
def test_a_set_is_split_by_the_places_that_have_it(ranges: list[Range], places: list[tuple[str, list[Range]]]) -> None:
    found = by_place(ranges, places)
    for number in _numbers(ranges):
        names = tuple(name for name, there in places if number in _numbers(there))
        assert number in _numbers(found[names])
    assert sum(map(count, found.values())) == count(ranges)


@given(_IN_SPAN, _SETS, _SETS, st.integers(1, 60), st.integers(1, 60))
def test_each_event_of_a_span_has_exactly_one_fate(
    held: list[Range], dead: list[Range], damaged: list[Range], begin: int, settled: int
) -> None:
    found = fates(_SPAN, Claim(begin, settled, dead), held, damaged)
    assert sorted(number for ranges in found[:-1] for number in _numbers(ranges)) == _numbers([_SPAN])
    places = _numbers(held) + [number for number in _numbers(dead) if number in _numbers([_SPAN])]
    assert set(_numbers(found.twice)) == {number for number in places if places.count(number) > 1}
    nowhere = set(_numbers([_SPAN])) - set(places) - set(_numbers(damaged))
    assert set(_numbers(found.missing)) == {number for number in nowhere if begin <= number < settled}
    assert set(_numbers(found.pending)) == {number for number in nowhere if number >= max(begin, settled)}


@given(_SETS, _SETS, st.integers(1, 60), st.integers(1, 60))
def test_a_cursor_alone_misses_nothing_and_has_nothing_twice(
    dead: list[Range], damaged: list[Range], begin: int, settled: int
) -> None:
    claim = Claim(begin, settled, dead)
    found = fates(_SPAN, claim, passed(_SPAN, claim, damaged), damaged)
    assert sorted(number for ranges in found[:-1] for number in _numbers(ranges)) == _numbers([_SPAN])
    assert found.missing == []
    assert found.twice == []
