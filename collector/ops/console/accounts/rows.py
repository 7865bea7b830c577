"""The accounts of some days as JSON values. Pure.

received = stored + duplicate + rejected + shed + waiting     `balance` says whether two counts agree on this
delivered = stored + redriven - pending - dead                the cursors say so; `collector audit` asks the sinks
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from collector.ops.console.accounts.counters import DUPLICATE_CODE, REJECTED_CODE, SHED_CODE, STORED_CODE
from collector.ops.console.accounts.open_events import OpenEvents

DEAD_CODE: Final = "dead"
"""Events that a sink refused."""
REDRIVEN_CODE: Final = "redriven"
"""Events of dead letters that a redrive has stored: they were received before, as rejected ones."""
_SEAM_MS: Final = 15_000
"""A supervisor that starts this soon after the last counters were saved was restarted: nothing came in between."""


class PendingEvents(NamedTuple):
    """Events of a property that a sink waits for, and how many of them another sink has refused."""

    events: int = 0
    refused: int = 0


def account_row(
    prop: str,
    counts: Mapping[str, int],
    open_events: OpenEvents | None,
    pending: PendingEvents | None,
    *,
    is_read: bool,
) -> dict[str, Any]:
    """The account of a property, from its events by code. `pending` is None where that is not known.

    `open_events` is None if no counter reaches into these days; `is_read` tells whether all dead letters and redriven
    events are counted. The delivered events are None, too, where the counts do not fit together: they are not of one
    moment, or of days that the cursors do not know.
    """
    waiting = open_events.events if open_events else 0
    stored, duplicate = counts.get(STORED_CODE, 0), counts.get(DUPLICATE_CODE, 0)
    rejected, shed = _after(REJECTED_CODE, counts), _after(SHED_CODE, counts)
    redriven = counts.get(REDRIVEN_CODE, 0)
    dead = counts.get(DEAD_CODE, 0) - (pending.refused if pending else 0) if is_read else None
    delivered = stored + redriven - pending.events - dead if pending and dead is not None else -1
    return {
        "property": prop,
        "received": stored + duplicate + sum(rejected.values()) + sum(shed.values()) + waiting,
        "stored": stored,
        "duplicate": duplicate,
        "rejected": sum(rejected.values()),
        "shed": sum(shed.values()),
        "waiting": waiting,
        "balance": open_events and open_events.balance,
        "codes": dict(sorted((rejected | shed).items(), key=lambda item: -item[1])),
        "redriven": redriven,
        "delivered": delivered if delivered >= 0 else None,
        "pending": pending.events if pending else None,
        "dead": dead,
    }


def covered_since(boots: Sequence[tuple[int, int]], from_ms: int, origin_ms: int | None) -> int | None:
    """Since when all events are counted, in Unix ms; None if that is before `from_ms`, or since the first event.

    `boots` are begin and end of the time in which counters were saved, the newest first. `origin_ms` is the time of the
    oldest log, if it has all of its segments.
    """
    since = boots[0][0] if boots else from_ms
    for begin, end in boots:
        if since - end > _SEAM_MS:
            break
        since = begin
    if since <= from_ms or (origin_ms is not None and since - origin_ms <= _SEAM_MS):
        return None
    return since


def _after(beginning: str, counts: Mapping[str, int]) -> dict[str, int]:
    """The events by the rest of their codes."""
    return {code.removeprefix(beginning): events for code, events in counts.items() if code.startswith(beginning)}
