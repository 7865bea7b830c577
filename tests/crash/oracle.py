"""The oracle: what was reported as acknowledged, what is found in the end, and whether the two agree."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.crash.load import Load
from tests.crash.tally import Tally
from tests.running import Collector, eventually
from wal import damage
from wal.errors import MissingSegment
from wal.log import Log
from wal.reader import Reader, read_all
from wal.segment import Block


class Account:
    """What one or several runs of a writer reported, added up. Events are known by their numbers."""

    def __init__(self) -> None:
        self.sent: set[int] = set()
        self.acknowledged: set[int] = set()
        self.refused: set[int] = set()
        self.delivered = 0
        self.faults: list[str] = []
        """Lines that tell of a failure."""

    def read(self, report: str, owed: int | None = None) -> None:
        """Add a report, whose last line may be cut. What it acknowledges behind `owed` characters counts as sent."""
        is_poisoned = False
        place = 0
        for line in report.splitlines(keepends=True):
            kind, _, rest = line.partition(" ")
            place += len(line)
            if not line.endswith("\n"):
                continue
            if kind == "acknowledged" and owed is not None and place > owed:
                continue
            if kind == "delivered":
                self.delivered = int(rest)
            elif kind in ("sent", "acknowledged", "refused"):
                first, behind, *_ = rest.split()
                getattr(self, kind).update(range(int(first), int(behind)))
            assert not (kind == "acknowledged" and is_poisoned), "acknowledged by a poisoned log"
            is_poisoned = is_poisoned or kind == "poisoned"
            if kind not in ("sent", "acknowledged", "delivered"):
                self.faults.append(line.rstrip())

    @property
    def next(self) -> int:
        """The number behind all that were sent."""
        return max(self.sent, default=0) + 1

    @property
    def kept(self) -> set[int]:
        """The acknowledged events that must still be there: those that no consumer has."""
        return {number for number in self.acknowledged if number >= self.delivered}

    def check(self, recovered: list[int]) -> None:
        """Fail unless the log may hold these events, in this order."""
        assert recovered == sorted(set(recovered)), "not in order, or twice"
        assert set(recovered) - self.sent == set(), "never sent"
        assert set(recovered) & self.refused == set(), "there, although nothing was to be kept of it"
        assert self.kept - set(recovered) == set(), "lost"


def reopen(directory: Path) -> list[int]:
    """The numbers of the events in a log, as its next start finds them. Fails where it speaks of damage.

    Leaves the log as a clean stop does, with one segment more.
    """
    log = Log(str(directory))
    try:
        assert log.damages == []
        found = list(_read(log))
        log.seal()
    finally:
        log.close()
    assert not (directory / damage.FILE_NAME).exists()
    return found


def check_delivery(collector: Collector, load: Load, tally: Tally, faults: int) -> None:
    """Stop the collector once it has shipped all; fail unless the sink's files are what the load may have led to."""
    eventually(lambda: _is_shipped(collector), "all of the log is in the files")
    assert collector.stop() == 0, collector.stderr
    shipped = [record["event"]["uid"] for record in collector.shipped()]
    tally.add(load.acknowledged, shipped, faults)
    assert load.acknowledged - set(shipped) == set(), "lost"
    assert [uid for uid, times in Counter(shipped).items() if times > 1] == [], "duplicated"
    assert set(shipped) - load.sent == set(), "never sent"
    stored = [record["id"] for record in collector.stored()]
    assert len(stored) == len(set(stored)), "an id names two records"


def _is_shipped(collector: Collector) -> bool:
    """Whether the files have all of the log; not while it gives up a segment that is being read here."""
    try:
        return _ids(collector.stored()) <= _ids(collector.shipped())
    except (MissingSegment, FileNotFoundError):
        return False


def _ids(records: Iterable[dict[str, Any]]) -> set[str]:
    """Of the records of a log, which may have given up delivered segments on a short disk, or of a sink."""
    return {record["id"] for record in records}


def _read(log: Log) -> Iterator[int]:
    start = log.folder.oldest()
    assert start is not None
    reader = Reader(log.folder, start)
    try:
        for block in read_all(reader, log.end):
            assert isinstance(block, Block), block
            events = [json.loads(line) for line in block.payload.splitlines()]
            promised = [event["sequence"] for event in events]
            assert promised == [block.header.sequence + at for at in range(len(events))], "not the promised sequences"
            yield from (event["number"] for event in events)
    finally:
        reader.close()
