"""The result of an audit: accounts, differences, and the way in which events were proved."""

from collections import Counter
from typing import Literal

from msgspec import Struct, field

from collector.ops.audit.balance import Fates
from collector.ops.audit.log_events import Span
from collector.ops.audit.ranges import Range, count
from collector.ops.event_property import UNKNOWN, EventProperty

Kind = Literal["missing", "twice", "unknown", "gone"]
"""missing: the sink's cursor has passed the event, and it is nowhere. twice: it is in two places. unknown: a file has
it, and the log never did. gone: the log has lost it before the sink had it."""
_MOST_RANGES = 100_000
"""Ranges that a report holds; further ones are counted."""


class Account(Struct):
    """Events of one property for one sink: stored = delivered + pending + dead_lettered + damaged + not_due + missing.

    It balances if nothing is missing or twice. `not_due` were stored before a sink with `start = "newest"` began.
    """

    portal_id: int | None
    prop_id: int | None
    sink: str
    stored: int = 0
    delivered: int = 0
    pending: int = 0
    dead_lettered: int = 0
    damaged: int = 0
    not_due: int = 0
    missing: int = 0
    twice: int = 0


class Difference(Struct):
    """Events of one log that one sink has not exactly once.

    `places` are the files that have the events or, if they are missing, whose names say that they have them.
    """

    sink: str
    log_id: str
    kind: Kind
    places: tuple[str, ...]
    events: int = 0
    ranges: list[Range] = field(default_factory=list)


class AuditedLog(Struct):
    """A log: its path, and the events that were read. Older ones than `first` are not in it any more."""

    log_id: str
    path: str
    first: int
    last: int


class AuditedSink(Struct):
    """A sink, and how its accounts are proved: by the contents of its files, or by its cursor alone."""

    name: str
    proof: Literal["contents", "cursor"]
    where: str = ""
    files: int = 0
    """Files of the logs here, without those of replays."""
    replayed_files: int = 0
    other_logs_files: int = 0
    other_names: int = 0


class RejectedEvents(Struct, frozen=True):
    """Events in the dead letters that requests had refused."""

    portal_id: int
    prop_id: int
    code: str
    events: int


class Report(Struct):
    """All that an audit found. `problems` are places that could not be read, or that hold something else."""

    accounts: list[Account] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    logs: list[AuditedLog] = field(default_factory=list)
    sinks: list[AuditedSink] = field(default_factory=list)
    rejected: list[RejectedEvents] = field(default_factory=list)
    is_balanced: bool = True


class Books:
    """Adds up accounts and differences."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, EventProperty], Account] = {}
        self._differences: dict[tuple[str, str, Kind, tuple[str, ...]], Difference] = {}
        self._ranges = 0

    def add(self, sink: str, span: Span, found: Fates) -> None:
        """Add the fates of a span's events to the accounts of their properties."""
        self._count(sink, span, "stored", [span.range])
        for name, ranges in (
            ("delivered", found.delivered),
            ("pending", [] if span.is_gone else found.pending),
            ("dead_lettered", found.dead),
            ("damaged", found.damaged),
            ("not_due", found.not_due),
            ("missing", [*found.missing, *found.pending] if span.is_gone else found.missing),
            ("twice", found.twice),
        ):
            self._count(sink, span, name, ranges)

    def differ(self, sink: str, log_id: str, kind: Kind, groups: dict[tuple[str, ...], list[Range]]) -> None:
        """Add events that a sink has not exactly once, by their places."""
        for places, ranges in groups.items():
            key = (sink, log_id, kind, places)
            difference = self._differences.setdefault(key, Difference(sink, log_id, kind, places))
            for new in ranges:
                self._append(difference, new)

    def accounts(self) -> list[Account]:
        """By property and sink."""
        order = sorted(self._accounts, key=lambda key: (key[1].portal_id or 0, key[1].prop_id or 0, key[0]))
        return [self._accounts[key] for key in order]

    def differences(self) -> list[Difference]:
        """In the order of sinks, logs and sequences."""
        return sorted(
            self._differences.values(),
            key=lambda difference: (difference.sink, difference.log_id, difference.ranges[:1]),
        )

    def _count(self, sink: str, span: Span, name: str, ranges: list[Range]) -> None:
        for prop, events in _by_property(span, ranges).items():
            account = self._accounts.setdefault((sink, prop), Account(prop.portal_id, prop.prop_id, sink))
            setattr(account, name, getattr(account, name) + events)

    def _append(self, difference: Difference, new: Range) -> None:
        difference.events += new.events
        ranges = difference.ranges
        if ranges and ranges[-1].last + 1 == new.first:
            ranges[-1] = Range(ranges[-1].first, new.last)
        elif self._ranges < _MOST_RANGES:
            self._ranges += 1
            ranges.append(new)


def _by_property(span: Span, ranges: list[Range]) -> Counter[EventProperty]:
    if span.properties is None:
        return Counter({UNKNOWN: count(ranges)})
    found: Counter[EventProperty] = Counter()
    for part in ranges:
        found.update(span.properties[part.first - span.range.first : part.last - span.range.first + 1])
    return found
