"""The walk over block headers: each durable block once, also across segments, damage and retention."""

from pathlib import Path

from collector.ops.console.walk import HeaderWalk
from tests.wal.logs import lines
from wal.log import Log


def _walk(log: Log) -> HeaderWalk:
    start = log.folder.oldest()
    assert start is not None
    return HeaderWalk(log.folder, start)


def _commit(log: Log, *counts: int) -> None:
    for count in counts:
        log.commit(lines(range(count)), count)


def _reopened(log: Log) -> Log:
    """The same log, with another segment."""
    log.close()
    return Log(log.folder.path)


def _records(walk: HeaderWalk, most: int = 100) -> list[int]:
    return [header.records for header in walk.read(most)]


def test_a_block_is_read_once_when_a_later_header_proves_it(tmp_path: Path) -> None:
    log = Log(str(tmp_path))
    walk = _walk(log)
    assert _records(walk) == []
    _commit(log, 3)
    assert (_records(walk), walk.end.sequence) == ([], 1)
    _commit(log, 2, 1)
    assert (_records(walk), walk.end.sequence) == ([3, 2], 6)
    log.mark_idle()
    assert (_records(walk), walk.end.sequence) == ([1], 7), "the idle block proves the last one"
    assert _records(walk) == []
    walk.close()
    log.close()


def test_it_goes_on_in_the_next_segment_which_proves_the_one_before(tmp_path: Path) -> None:
    log = Log(str(tmp_path))
    walk = _walk(log)
    _commit(log, 3)
    log = _reopened(log)
    _commit(log, 4, 5)
    assert _records(walk) == [3, 4]
    assert walk.end.segment == 2
    walk.close()
    log.close()


def test_after_damage_it_goes_on_in_the_next_segment(tmp_path: Path) -> None:
    log = Log(str(tmp_path))
    _commit(log, 3, 4, 5)
    damaged = Path(log.folder.segment_file(log.folder.segments()[0]))
    walk = _walk(log)
    assert _records(walk, most=1) == [3]
    content = bytearray(damaged.read_bytes())
    content[walk.end.offset + 5] ^= 1
    walk.close()
    damaged.write_bytes(content)
    again = _walk(log)
    assert _records(again) == []
    log = _reopened(log)
    _commit(log, 6, 7)
    assert _records(again) == [3, 6]
    assert again.end.sequence == 19
    again.close()
    log.close()


def test_segments_that_retention_has_dropped_are_skipped(tmp_path: Path) -> None:
    log = Log(str(tmp_path))
    walk = _walk(log)
    _commit(log, 3)
    log = _reopened(log)
    _commit(log, 4, 5)
    Path(log.folder.segment_file(log.folder.segments()[0])).unlink()
    assert _records(walk) == [4]
    walk.close()
    log.close()
