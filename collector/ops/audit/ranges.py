"""Arithmetic on ranges of sequences, pure.

A *set* here is a sorted list of ranges that neither overlap nor touch. So memory grows with gaps, not with events.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

MAX: Final = 10**16 - 1
"""The highest sequence that a log can have: a header has 16 digits for it."""


class Range(NamedTuple):
    """The sequences from `first` to `last`, both included."""

    first: int
    last: int

    @property
    def events(self) -> int:
        """The number of sequences."""
        return self.last - self.first + 1


def count(ranges: Iterable[Range]) -> int:
    """The number of sequences in ranges."""
    return sum(span.events for span in ranges)


def runs(sequences: Sequence[int]) -> list[Range]:
    """The ranges of sequences in their order. A new range starts where a sequence does not follow the one before it."""
    if not sequences:
        return []
    first, previous = sequences[0], sequences[0] - 1
    if sequences[-1] - first == len(sequences) - 1 and list(range(first, sequences[-1] + 1)) == sequences:
        return [Range(first, sequences[-1])]  # the loop would take 50 ns an event
    found = []
    for sequence in sequences:
        if sequence != previous + 1:
            found.append(Range(first, previous))
            first = sequence
        previous = sequence
    return [*found, Range(first, previous)]


def coverage(ranges: Iterable[Range]) -> tuple[list[Range], list[Range]]:
    """The set of sequences that any range has, and the set of those that two or more have."""
    once: list[Range] = []
    twice: list[Range] = []
    for span in sorted(ranges):
        if once and span.first <= once[-1].last:
            _add(twice, Range(span.first, min(span.last, once[-1].last)))
        _add(once, span)
    return once, twice


def overlap(left: Sequence[Range], right: Sequence[Range]) -> list[Range]:
    """The sequences that both sets have."""
    found: list[Range] = []
    at = 0
    for span in left:
        while at < len(right) and right[at].last < span.first:
            at += 1
        ahead = at
        while ahead < len(right) and right[ahead].first <= span.last:
            found.append(Range(max(span.first, right[ahead].first), min(span.last, right[ahead].last)))
            ahead += 1
        at = max(at, ahead - 1)
    return found


def minus(left: Sequence[Range], right: Sequence[Range]) -> list[Range]:
    """The sequences of the left set that the right set does not have."""
    found: list[Range] = []
    at = 0
    for span in left:
        first = span.first
        while at < len(right) and right[at].first <= span.last:
            if first < right[at].first:
                found.append(Range(first, right[at].first - 1))
            first = max(first, right[at].last + 1)
            if right[at].last > span.last:
                break
            at += 1
        if first <= span.last:
            found.append(Range(first, span.last))
    return found


def by_place(ranges: list[Range], places: Iterable[tuple[str, list[Range]]]) -> dict[tuple[str, ...], list[Range]]:
    """Split a set by the places, of which each has a name and a set, that have its sequences. No place: key ()."""
    groups: dict[tuple[str, ...], list[Range]] = {(): ranges}
    for name, there in places:
        for names, group in list(groups.items()):
            if inside := overlap(group, there):
                groups[*names, name] = inside
                groups[names] = minus(group, inside)
    return {names: group for names, group in groups.items() if group}


def _add(ranges: list[Range], new: Range) -> None:
    """Add a range that starts no earlier than the last one of a set."""
    if ranges and new.first <= ranges[-1].last + 1:
        ranges[-1] = Range(ranges[-1].first, max(ranges[-1].last, new.last))
    else:
        ranges.append(new)
