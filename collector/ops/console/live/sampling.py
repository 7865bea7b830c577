"""Which rows of a flush are shown if more match than a person can read. Pure.

Neither junk nor success hides the other, and a common event does not hide a rare one.
"""

from collections.abc import Callable, Sequence
from itertools import chain, zip_longest

from collector.ops.console.rows.rows import EventRow


def sampled(rows: Sequence[EventRow], most: int, pick: Callable[[Sequence[int], int], list[int]]) -> Sequence[EventRow]:
    """At most `most` of the rows, in their order.

    The kinds take turns; each gives the first row of each property and action. What is left is filled at random:
    `pick(places, n)` picks n of the places, as `random.sample` does.
    """
    if len(rows) <= most:
        return rows
    chosen = _in_turn(rows)[:most]
    others = sorted(set(range(len(rows))).difference(chosen))
    return [rows[place] for place in sorted([*chosen, *pick(others, most - len(chosen))])]


def _in_turn(rows: Sequence[EventRow]) -> list[int]:
    """The first places of each kind, property and action: one of each kind, then another of each, and so on."""
    firsts: dict[str, dict[tuple[str | None, str | None], int]] = {}
    for place, row in enumerate(rows):
        firsts.setdefault(row.kind, {}).setdefault((row.property, row.ea), place)
    turns = zip_longest(*(kind.values() for kind in firsts.values()))
    return [place for place in chain.from_iterable(turns) if place is not None]
