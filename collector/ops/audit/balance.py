"""The balance of one sink over a span of a log, pure: each stored event gets exactly one fate."""

from collections.abc import Sequence
from typing import NamedTuple

from collector.ops.audit.ranges import MAX, Range, coverage, minus, overlap


class Claim(NamedTuple):
    """The state of a sink in one log. Events before `begin` were never due; all before `settled` count as delivered.

    `dead` is the set of events that the sink refused, and that are dead letters.
    """

    begin: int
    settled: int
    dead: list[Range]


class Fates(NamedTuple):
    """Sets of sequences. All but `twice` are disjoint, and together they are the span.

    `missing` has the events that the sink's cursor has passed and that are nowhere.
    `twice` has those that are in two places: two files, or a file and the dead letters.
    """

    delivered: list[Range]
    dead: list[Range]
    damaged: list[Range]
    pending: list[Range]
    not_due: list[Range]
    missing: list[Range]
    twice: list[Range]


def fates(span: Range, claim: Claim, held: Sequence[Range], damaged: Sequence[Range]) -> Fates:
    """The fates of the events of a span. `held` are the ranges within it that the sink has, in any order.

    An event that was delivered before its segment was damaged counts as delivered.
    """
    delivered, twice = coverage(held)
    dead = overlap([span], claim.dead)
    both = overlap(delivered, dead)
    rest = minus(minus([span], delivered), dead)
    lost = overlap(rest, damaged)
    rest = minus(rest, lost)
    not_due = overlap(rest, [Range(0, claim.begin - 1)])
    pending = overlap(rest, [Range(max(claim.begin, claim.settled), MAX)])
    missing = minus(minus(rest, not_due), pending)
    return Fates(delivered, minus(dead, both), lost, pending, not_due, missing, coverage([*twice, *both])[0])


def passed(span: Range, claim: Claim, damaged: Sequence[Range]) -> list[Range]:
    """The events of a span that a sink's cursor alone says are delivered."""
    if claim.settled <= claim.begin:
        return []
    settled = overlap([span], [Range(claim.begin, claim.settled - 1)])
    return minus(minus(settled, claim.dead), damaged)
