"""The lines of several logs, newest first, from where the last call left off.

Among logs the time of the blocks decides. Where reading goes on is a sequence for each log, so that a place is exact
whatever the clocks did.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from collector.ops.console.api.refusals import refused
from collector.ops.console.lookup.log_backwards import LogBackwards, LogLine
from wal.examine import headers_from
from wal.folder import LogFolder
from wal.seek import place_before_time
from wal.segment import SegmentReader

_Places = dict[str, Annotated[int, Meta(ge=0, le=sys.maxsize)]]
LONGEST_PLACES: Final = 8192
"""Characters of a query that tells where to go on: enough for the logs of 256 workers."""


class DamagedRange(NamedTuple):
    """Events that can't be read: those from `first` to before `end`."""

    source: str
    log: str
    first: int
    end: int


class NewestLines:
    """Reads the logs that `sources` has by name. Stop the iteration at any line: it counts as read."""

    def __init__(self, sources: Mapping[str, LogFolder], places: str | None, before_ms: int | None) -> None:
        """Go on at `places`, or begin before a time, or at the end of the logs.

        Raises Rejected for places that were never given out, WalError, OSError.
        """
        known = _decoded(places) if places else None
        self.back_to_ms: int | None = None
        """The time of the oldest block that was read."""
        self._sources = {
            name: LogBackwards(folder, _start_of(folder, known.get(name, 0) if known is not None else None, before_ms))
            for name, folder in sources.items()
        }

    @property
    def left_bytes(self) -> int:
        """The length of the part of all logs that was not read yet. Raises OSError."""
        return sum(source.left_bytes for source in self._sources.values())

    @property
    def places(self) -> str | None:
        """Where to go on; None if all was read."""
        left = {name: source.before for name, source in self._sources.items() if source.peek()}
        return msgspec.json.encode(left).decode() if left else None

    @property
    def damaged(self) -> list[DamagedRange]:
        """The unreadable ranges that were passed over, the newest of each log first."""
        return [
            DamagedRange(name, source.log_id, first, end)
            for name, source in self._sources.items()
            for first, end in source.damaged
        ]

    def __iter__(self) -> Iterator[LogLine | None]:
        """Each line, and None for a block that is damaged: a caller's time may end there, too."""
        while heads := [(head.timestamp_ms, name) for name, source in self._sources.items() if (head := source.peek())]:
            self.back_to_ms, name = max(heads)
            yield from self._sources[name].lines(name)

    def close(self) -> None:
        """Close the open segments."""
        for source in self._sources.values():
            source.close()


def _start_of(folder: LogFolder, before: int | None, before_ms: int | None) -> int:
    """The first sequence that is not to be read."""
    if before is not None:
        return before
    return sys.maxsize if before_ms is None else _first_from(folder, before_ms)


def _first_from(folder: LogFolder, unix_ms: int) -> int:
    """The sequence of the first block of this time or later; 0 if none is earlier."""
    place = place_before_time(folder, unix_ms)
    names = [name for name in folder.segments() if place and name.number >= place.segment]
    for name in names:
        with closing(SegmentReader(folder, name)) as segment:
            for at, header in headers_from(segment, place.offset if place and place.segment == name.number else 0):
                if at == header.offset and header.timestamp_ms >= unix_ms:
                    return header.sequence
    return sys.maxsize if names else 0


def _decoded(places: str) -> dict[str, int]:
    """Raises Rejected."""
    try:
        return msgspec.json.decode(places, type=_Places)
    except (msgspec.DecodeError, RecursionError):
        raise refused("bad_parameter", "before, after: expected what an earlier call gave as next") from None
