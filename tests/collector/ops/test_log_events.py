"""The events that an audit reads of a log that is written, and whose segments are deleted, meanwhile."""

from contextlib import closing
from pathlib import Path

import pytest

from collector.ops.audit.log_events import LogEvents
from collector.ops.audit.ranges import Range
from tests.wal.logs import FILES, Clock, lines, segments
from wal.folder import LogFolder
from wal.format import HEADER_BYTES
from wal.log import Log
from wal.tools.select import Selection


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("has_block", [True, False])
def test_events_that_retention_deletes_up_to_the_fixed_end_are_dropped(
    tmp_path: Path, clock: Clock, has_block: bool
) -> None:
    directory = str(tmp_path)
    problems: list[str] = []
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        log.commit(lines([1, 2]), 2)
        events = LogEvents(LogFolder(FILES, directory), Selection(), problems.append)
        events.fix_end()
        clock.ms += 60_000
        log.commit(lines([3]), 1)
        first, last = segments(directory)
        first.unlink()
        if not has_block:
            with last.open("r+b") as file:
                file.truncate(HEADER_BYTES)
        assert list(events.spans()) == []
    assert (events.next, events.dropped, problems) == (3, [Range(1, 2)], [])
