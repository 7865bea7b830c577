"""Hostile bodies for dialects, and the promise that each of them keeps for any body."""

import contextlib
import json
from collections.abc import Callable, Iterator

from hypothesis import strategies as st

from collector.errors import BadEvent, TooLarge
from collector.ingest.dialects.dialect import PAUSE, DialectEvent
from collector.ingest.event import decode_event
from collector.settings import Limits

_LIMITS = Limits()
_PAID_BYTES = 64
_FREE_BYTES = 1024
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def members(*names: str) -> st.SearchStrategy[dict[str, object]]:
    """Objects that have some of these members, with any values, and some others."""
    known = st.dictionaries(st.sampled_from(names), JSON_VALUES | st.sampled_from(["", "é", "u-1", "1.0"]), max_size=12)
    return st.tuples(known, st.dictionaries(st.text(max_size=8), JSON_VALUES, max_size=2)).map(
        lambda both: both[1] | both[0]
    )


def check(read: Callable[[bytes], Iterator[DialectEvent]], body: bytes) -> list[DialectEvent]:
    """The events of a body: each is one of ours or a refusal, and together they are hardly longer than the body.

    Empty for a body that is refused as a whole.
    """
    try:
        events = [event for event in read(body) if event is not PAUSE]
    except (BadEvent, TooLarge):
        return []
    assert events
    for event in events:
        assert bool(event.event) != bool(event.refusal)
        if event.refusal is None:
            json.loads(event.event)
            assert not set(event.event) & set(b"\n\r")
            with contextlib.suppress(BadEvent, TooLarge):
                decode_event(event.event, ("ea", "ec"), _LIMITS)
        else:
            assert event.refusal.code in (BadEvent.code, TooLarge.code)
    assert sum(len(event.event) for event in events) <= len(body) + _PAID_BYTES * len(events) + _FREE_BYTES
    return events
