"""`wal ls`: a log at a glance. Reads headers; reads blocks only of the last segment, and of those before a gap."""

import os
from collections.abc import Iterator
from itertools import groupby, zip_longest
from typing import Final

from wal.damage import read_ledger
from wal.errors import Corrupt, WalError
from wal.folder import LogFolder
from wal.format import Position, SegmentName
from wal.tools.listing import bytes_between, end_of, opened_ms, utc
from wal.tools.tables import Column, Row, print_rows

_COLUMNS: Final = {
    "log": (Column("log"), Column("id"), Column("writer")),
    "segment": (
        Column("segment", is_number=True),
        Column("first seq", is_number=True),
        Column("events", is_number=True),
        Column("bytes", is_number=True),
        Column("opened (UTC)"),
        Column("last commit (UTC)"),
        Column("state"),
    ),
    "cursor": (
        Column("cursor"),
        Column("next seq", is_number=True),
        Column("events behind", is_number=True),
        Column("bytes behind", is_number=True),
        Column("batch under way"),
        Column("fault"),
    ),
    "damage": (Column("places in damage.ndjson", is_number=True), Column("events lost", is_number=True)),
    "fault": (Column("log"), Column("fault")),
}
"""The columns by type of row. The type is a member of each JSON object."""


def print_listing(folder: LogFolder, *, as_json: bool) -> bool:
    """Print the segments, cursors and damage of a log, each in a table, and the fault that ends the listing, if any.

    Returns whether there is none. Raises OSError for stdout alone.
    """
    is_whole = True
    for kind, rows in groupby(_rows_to_fault(folder), key=lambda row: str(row.members["type"])):
        is_whole = kind != "fault"
        print_rows(_COLUMNS[kind], rows, as_json=as_json)
        if not as_json:
            print()
    return is_whole


def _rows_to_fault(folder: LogFolder) -> Iterator[Row]:
    """The rows of a log. A fault is the last of them, so that it hides no other log."""
    try:
        yield from _rows(folder)
    except (WalError, OSError) as fault:
        yield Row({"type": "fault", "log": folder.path, "fault": str(fault)}, (folder.path, str(fault)))


def _rows(folder: LogFolder) -> Iterator[Row]:
    log_id, held = folder.log_id.decode(), folder.is_locked()
    yield Row(
        {"type": "log", "log": folder.path, "log_id": log_id, "is_held": held},
        (folder.path, log_id, "held" if held else "none"),
    )
    end = None
    names = folder.segments()
    for name, successor in zip_longest(names, names[1:]):
        state = "sealed" if successor else "active" if held else "closed"
        try:
            if successor and successor.number == name.number + 1:
                end, last = successor.start, opened_ms(folder, successor)
            else:
                end, last = end_of(folder, name)
            yield _segment(folder, name, end, last, state)
        except FileNotFoundError:  # retention has deleted it meanwhile
            yield _without_content(folder, name.number, "dropped")
        yield from _gap(folder, name, successor)
    for consumer in folder.consumers():
        yield _cursor(folder, consumer, end)
    if entries := read_ledger(folder).entries:
        lost = sum(entry.lost for entry in entries)
        yield Row(
            {"type": "damage", "log": folder.path, "places": len(entries), "events_lost": lost}, (len(entries), lost)
        )


def _segment(folder: LogFolder, name: SegmentName, end: Position, last: int | None, state: str) -> Row:
    length = os.path.getsize(folder.segment_file(name))
    if any(entry.start.segment == name.number for entry in read_ledger(folder).entries):
        state = "damaged"
    elif state == "closed" and end.offset < length:
        state = "torn"
    counts = {"first": name.sequence, "events": end.sequence - name.sequence, "bytes": length}
    times = {"opened_ms": opened_ms(folder, name), "last_ms": last}
    return Row(
        {"type": "segment", "log": folder.path, "segment": name.number, **counts, **times, "state": state},
        (name.number, *counts.values(), *map(utc, times.values()), state),
    )


def _gap(folder: LogFolder, name: SegmentName, successor: SegmentName | None) -> Iterator[Row]:
    known = read_ledger(folder).missing_segments
    for number in range(name.number + 1, successor.number if successor else 0):
        state = f"missing{', and recorded in damage.ndjson' if number in known else ''}"
        yield _without_content(folder, number, state)


def _without_content(folder: LogFolder, number: int, state: str) -> Row:
    """The row of a segment that is not there."""
    members = {"type": "segment", "log": folder.path, "segment": number, "state": state}
    return Row(members, (number, "", "", "", "", "", state))


def _cursor(folder: LogFolder, consumer: str, end: Position | None) -> Row:
    members = {"type": "cursor", "log": folder.path, "cursor": consumer}
    try:
        cursor = folder.cursor(consumer)
    except Corrupt as fault:
        return Row({**members, "fault": f"damaged: {fault}"}, (consumer, "", "", "", "", f"damaged: {fault}"))
    if cursor is None or end is None:
        return Row({**members, "fault": "gone"}, (consumer, "", "", "", "", "gone"))
    place, token = cursor.acked, cursor.intent.token if cursor.intent else None
    lag = {"events_behind": end.sequence - place.sequence, "bytes_behind": bytes_between(folder, place, end)}
    return Row(
        {**members, "next": place.sequence, **lag, "token": token},
        (consumer, place.sequence, *lag.values(), token or "", ""),
    )
