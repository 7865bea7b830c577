"""Sampling: few rows of many, in which neither junk nor success hides the other."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from collector.ops.console.live.ring import Ring
from collector.ops.console.live.sampling import sampled
from collector.ops.console.rows.rows import EventRow

PICK = random.Random(7).sample


def _row(kind: str = "stored", prop: str = "5/6", ea: str = "view", at: int = 0) -> EventRow:
    return EventRow(received_ms=at, kind=kind, property=prop, ea=ea)


def test_few_rows_are_all_shown() -> None:
    rows = [_row(at=at) for at in range(25)]
    assert sampled(rows, 25, PICK) == rows


def test_a_kind_that_comes_once_in_ten_thousand_is_shown() -> None:
    for place in (0, 5_000, 9_999):
        rows = [_row("dead" if at == place else "stored", at=at) for at in range(10_000)]
        assert [row.received_ms for row in sampled(rows, 25, PICK) if row.kind == "dead"] == [place]


def test_a_rare_action_is_not_hidden_by_a_common_one() -> None:
    rows = [_row(ea="purchase" if at == 4_000 else "view", at=at) for at in range(5_000)]
    assert "purchase" in [row.ea for row in sampled(rows, 25, PICK)]


def test_a_kind_with_many_different_actions_leaves_room_for_the_others() -> None:
    junk = [_row("dead", ea=f"junk {at}") for at in range(5_000)]
    good = [_row("stored", ea=f"good {at}") for at in range(10)]
    assert Counter(row.kind for row in sampled([*junk, *good], 25, PICK)) == {"dead": 15, "stored": 10}
    assert Counter(row.kind for row in sampled([*good, *junk], 25, PICK)) == {"dead": 15, "stored": 10}


def test_what_is_left_is_filled_at_random() -> None:
    rows = [_row(at=at) for at in range(1_000)]
    picks = [tuple(row.received_ms for row in sampled(rows, 25, random.Random(seed).sample)) for seed in range(3)]
    assert len(set(picks)) == 3
    assert all(len(pick) == 25 for pick in picks)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12"), st.sampled_from("xyz"))), st.integers(1, 30))
def test_each_row_is_shown_at_most_once_and_in_order(kinds: list[tuple[str, str, str]], most: int) -> None:
    rows = [_row(*kind, at=at) for at, kind in enumerate(kinds)]
    shown = [row.received_ms for row in sampled(rows, most, PICK)]
    assert len(shown) == min(most, len(rows))
    assert shown == sorted(set(shown))


def test_the_ring_keeps_the_newest_rows_and_never_uses_a_number_twice() -> None:
    ring = Ring(10)
    assert (ring.first, ring.last, ring.after(0)) == (1, 0, [])
    for start in range(0, 40, 4):
        ring.extend([_row(at=at) for at in range(start, start + 4)])
        kept = ring.after(0)
        assert [row.number for row in kept] == list(range(ring.first, ring.last + 1))
        assert [row.received_ms + 1 for row in kept] == [row.number for row in kept]
        assert len(kept) == min(10, start + 4)
    assert [row.number for row in ring.after(38)] == [39, 40]
    assert ring.after(40) == ring.after(99) == []
    ring.extend([_row(at=at) for at in range(99)])
    assert (ring.first, ring.last, len(ring.after(0))) == (130, 139, 10)
