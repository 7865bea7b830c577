"""The files of a batch, pure: their names are a function of the batch alone.

A file is `<folders of the partition>/<log_id>-<first>-<last>.<format>`, with `.replay-<name>` before the format if
a replay sends the events again. A batch is split by its partition, and a folder gets at most one file of it.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from collector.errors import UNDECODABLE
from collector.settings.templates import filled, names_in
from collector.ship.batch import Batch, Part, lines_of

_SOURCE: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_UNKNOWN: Final = "unknown"
_HOUR_SECONDS: Final = 3600
_HOUR_MS: Final = 1000 * _HOUR_SECONDS


_FILE: Final = re.compile(
    r"(?P<log_id>[0-9a-f]{16})-(?P<first>\d{16})-(?P<last>\d{16})(?:\.replay-(?P<replay>.+))?"
    r"\.(?P<format>ndjson(?=\.zst)|parquet(?!\.))(?:\.zst)?"
)
_MOST_EVENTS: Final = 1 << 26
"""No batch has more: it has at most 64 MiB and one block, and an event takes two bytes at least."""


class DeliveredFile(NamedTuple):
    """What the name of a file says: its log, its first and last sequence, its replay ("" for none), its format."""

    log_id: str
    first: int
    last: int
    replay: str
    format: str
    name: str
    """The whole name, folders included."""


class Group(NamedTuple):
    """The events of a batch that go into one file: its name without the suffix, and runs of events, in order."""

    name: str
    parts: list[Part]


class _Sourced(msgspec.Struct):
    source: str = _UNKNOWN


_decode_source: Final = msgspec.json.Decoder(_Sourced).decode


def grouped(batch: Batch, partition: str) -> list[Group]:
    """Split a batch by file. Records are decoded only if the partition names their `{source}`."""
    folders: dict[str, list[Part]] = {}
    has_source = "source" in names_in(partition)
    for part in batch.parts:
        for source, run in _runs(part) if has_source else [("", part)]:
            folders.setdefault(_folder(partition, source, part.timestamp_ms // _HOUR_MS), []).append(run)
    return [Group(_name(batch, folder, runs), runs) for folder, runs in folders.items()]


def file_named(name: str) -> DeliveredFile | None:
    """The file of this name, folders included; None for a name that no sink gives."""
    found = _FILE.fullmatch(name.rpartition("/")[2])
    if not found:
        return None
    first, last = int(found["first"]), int(found["last"])
    if not first <= last < first + _MOST_EVENTS:
        return None
    return DeliveredFile(found["log_id"], first, last, found["replay"] or "", found["format"], name)


def _runs(part: Part) -> Iterator[tuple[str, Part]]:
    """Split a block into runs of events of one source."""
    for source, events in groupby(lines_of(part), key=lambda event: _source(event[1])):
        run = list(events)
        yield source, Part(part.timestamp_ms, run[0][0], run[-1][0], b"".join([line + b"\n" for _, line in run]))


def _source(line: bytes) -> str:
    try:
        source = _decode_source(line).source
    except UNDECODABLE:
        return _UNKNOWN
    return source if _SOURCE.fullmatch(source) else _UNKNOWN


@lru_cache
def _folder(partition: str, source: str, hour: int) -> str:
    """The folder of events of an hour, counted from that of Unix time 0."""
    time = datetime.fromtimestamp(hour * _HOUR_SECONDS, UTC)
    return filled(partition, {"source": source, "date": time.strftime("%Y-%m-%d"), "hour": time.strftime("%H")})


def _name(batch: Batch, folder: str, runs: list[Part]) -> str:
    """Unique in the log: no event is in two batches, and a batch has one file in a folder."""
    name = f"{batch.log_id}-{runs[0].first:016d}-{runs[-1].last:016d}"
    return "/".join([*([folder] if folder else []), f"{name}.replay-{batch.replay}" if batch.replay else name])
