"""Checks the accounts of a node by two counts that do not know each other: events received, and their outcomes. Pure.

A worker counts an event as received when it arrives, and its outcome when that is known, milliseconds later. So once
a property has as many outcomes as events, received = stored + duplicate + rejected + shed holds for all of them. Under
load some events are always on their way. An event without an outcome shows as soon as the property is quiet.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from collector.ingest.accounts.settling import unsettled_events
from collector.ops.console.accounts.counters import property_of
from collector.ops.counters import Key
from collector.ops.metric_table import RECEIVED

QUIET_MS: Final = 60_000
"""Longer than an event waits for its outcome, unless the disk hangs."""


class Balance(StrEnum):
    """The result of the two counts for a property."""

    SETTLED = "settled"
    """Within the last QUIET_MS every event had its outcome."""
    UNDER_WAY = "under_way"
    """For longer some events have been on their way, as under a high load: nothing is known yet."""
    DIFFERS = "differs"
    """Nothing came for QUIET_MS, and the counts still differ."""


class OpenEvents(NamedTuple):
    """The events of a property without an outcome."""

    events: int
    """Below 0 if there are more outcomes than events."""
    balance: Balance


class _Looked(NamedTuple):
    received: int
    open: int
    came_ms: int
    """When an event came last."""
    settled_ms: int
    """When every event had its outcome last."""


class OpenEventsWatch:
    """Compares the counts each time that it looks. All times are Unix milliseconds."""

    def __init__(self) -> None:
        self._looked: dict[str, _Looked] = {}

    def look(self, unix_ms: int, counters: Mapping[Key, int]) -> None:
        """Compare the counts. `counters` are the sums of those of all workers."""
        counters = dict(counters)
        received = {tuple(labels): value for (name, *labels), value in counters.items() if name == RECEIVED.name}
        before, self._looked = self._looked, {}
        for labels, events in unsettled_events(counters).items():
            prop = property_of(labels)
            self._looked[prop] = _compared(before.get(prop), received.get(labels, 0), events, unix_ms)

    def open_events(self, unix_ms: int) -> dict[str, OpenEvents]:
        """The events without an outcome, of each property that has counters."""
        return {prop: OpenEvents(look.open, _balance(look, unix_ms)) for prop, look in self._looked.items()}


def _compared(before: _Looked | None, received: int, events: int, unix_ms: int) -> _Looked:
    if before is None:
        return _Looked(received, events, unix_ms, unix_ms - QUIET_MS if events else unix_ms)
    came_ms = before.came_ms if received == before.received else unix_ms
    return _Looked(received, events, came_ms, before.settled_ms if events else unix_ms)


def _balance(looked: _Looked, unix_ms: int) -> Balance:
    if unix_ms - looked.settled_ms < QUIET_MS:
        return Balance.SETTLED
    return Balance.UNDER_WAY if unix_ms - looked.came_ms < QUIET_MS else Balance.DIFFERS
