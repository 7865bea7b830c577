"""Unlinking: what retention lets go leaves the disk, and the rest of the log goes on as if nothing were."""

import errno
import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.wal.faulty_files import FaultyFiles
from tests.wal.logs import FILES, START_MS, Clock, damage, events, line, read_blocks, segments
from wal.cursor import Cursor
from wal.errors import Corrupt
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position
from wal.log import Log, now_ms
from wal.page_cache import evict_from_page_cache
from wal.room import NO_SHORTAGE, Shortage
from wal.sealed import drop_segments, steady_clock


@pytest.fixture
def log(directory: str, clock: Clock) -> Iterator[Log]:
    """Events 1 to 5, each in a segment of its own, the last in the active one. Sealed a minute apart, long ago."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        for number in range(1, 6):
            log.commit(line(number), 1)
            clock.ms += 60_000
        yield log


def _save(log: Log, consumer: str, segment: int) -> None:
    log.folder.save_cursor(consumer, Cursor(Position(segment, HEADER_BYTES, segment)))


def _drop(
    log: Log,
    *expected: str,
    keep_ms: int = 0,
    keep_bytes: int = 0,
    files: FaultyFiles | None = None,
    shortage: Shortage = NO_SHORTAGE,
    passed: Position | None = None,
) -> list[int]:
    names = drop_segments(
        LogFolder(files or FILES, log.folder.path),
        expected=expected,
        keep_ms=keep_ms,
        keep_bytes=keep_bytes,
        shortage=shortage,
        passed=passed,
    )
    return [name.number for name in names]


def test_what_every_consumer_has_passed_is_unlinked_and_the_rest_can_be_read(log: Log, files: FaultyFiles) -> None:
    _save(log, "fast", 5)
    _save(log, "slow", 3)
    assert _drop(log, "fast", "slow", files=files) == [1, 2]
    assert files.calls == ["sync_directory", *["unlink", "sync_directory"] * 2]  # the cursors first
    assert [path.name[:14] for path in segments(log.folder.path)] == [f"seg-{number:010d}" for number in (3, 4, 5)]
    assert events(log.folder.path) == [3, 4, 5]
    assert _drop(log, "fast", "slow") == []


class _Forgetting(FaultyFiles):
    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[tuple[int, int, int]] = []
        """Numbers of segments, offsets and lengths."""

    def forget_cache(self, descriptor: int, offset: int = 0, length: int = 0) -> None:
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
        self.forgotten.append((int(name.split("-")[1]), offset, length))
        super().forget_cache(descriptor, offset, length)


@pytest.mark.parametrize(
    ("start", "end", "forgotten"),
    [
        pytest.param((2, 148), (2, 300), [(2, 0, 300)], id="a part of a segment"),
        pytest.param((2, 148), (4, 148), [(2, 0, 0), (3, 0, 0), (4, 0, 148)], id="segments"),
        pytest.param((3, 5 << 20), (3, 9 << 20), [(3, 4 << 20, 5 << 20)], id="whole units"),
        pytest.param(
            (3, 9 << 20), (4, 200), [(3, 8 << 20, 0), (4, 0, 200)], id="the end of one and the start of another"
        ),
    ],
)
def test_a_range_leaves_memory(
    log: Log, start: tuple[int, int], end: tuple[int, int], forgotten: list[tuple[int, int, int]]
) -> None:
    files = _Forgetting()
    evict_from_page_cache(LogFolder(files, log.folder.path), Position(*start, 0), Position(*end, 0))
    assert files.forgotten == forgotten
    assert events(log.folder.path) == [1, 2, 3, 4, 5]


def test_a_segment_that_retention_takes_meanwhile_is_no_fault(log: Log) -> None:
    class Overtaken(_Forgetting):
        def open(self, path: str, *, write: bool = False) -> int:
            _drop(log)
            return super().open(path, write=write)

    _save(log, "file", 3)
    files = Overtaken()
    evict_from_page_cache(LogFolder(files, log.folder.path), Position(1, 0, 0), Position(3, 148, 0))
    assert files.forgotten == [(3, 0, 148)]


def test_the_active_segment_never_goes(log: Log) -> None:
    _save(log, "ahead", 9)
    assert _drop(log) == [1, 2, 3, 4]
    log.commit(line(6), 1)
    assert events(log.folder.path) == [5, 6]


def test_nothing_goes_until_every_expected_consumer_has_a_cursor(log: Log, files: FaultyFiles) -> None:
    assert _drop(log, files=files) == []
    _save(log, "file", 5)
    assert _drop(log, "file", "new", files=files) == []
    assert files.calls == []
    _save(log, "new", 2)
    assert _drop(log, "file", "new", files=files) == [1]


def test_a_cursor_of_a_consumer_that_is_not_expected_any_more_still_counts(log: Log) -> None:
    _save(log, "file", 5)
    _save(log, "retired", 2)
    assert _drop(log, "file") == [1]


def test_a_segment_is_as_old_as_its_successor(log: Log) -> None:
    _save(log, "file", 5)
    age_of_2 = now_ms() - (START_MS + 120_000)
    assert _drop(log, "file", keep_ms=age_of_2 - 30_000, keep_bytes=1 << 40) == [1, 2]


def test_bytes_to_keep_are_bytes_of_sealed_segments(log: Log) -> None:
    _save(log, "file", 5)
    size = segments(log.folder.path)[0].stat().st_size
    assert _drop(log, "file", keep_ms=now_ms(), keep_bytes=2 * size) == [1, 2]


def test_a_log_without_its_oldest_segments_opens_and_goes_on(log: Log, directory: str) -> None:
    _save(log, "file", 4)
    _drop(log, "file")
    log.close()
    with closing(Log(directory)) as again:
        again.commit(line(6), 1)
        assert events(directory) == [4, 5, 6]
        assert read_blocks(directory)[0].header.sequence == 4


@pytest.mark.parametrize("after", [0, 1])
def test_an_unlink_that_fails_leaves_no_gap(log: Log, files: FaultyFiles, after: int) -> None:
    _save(log, "file", 5)
    files.fail("unlink", errno.EIO, after=after)
    with pytest.raises(OSError, match="Input/output"):
        _drop(log, files=files)
    assert events(log.folder.path) == list(range(1 + after, 6))
    assert _drop(log) == list(range(1 + after, 5))


def test_a_damaged_cursor_lets_nothing_go(log: Log, directory: str) -> None:
    _save(log, "file", 5)
    _save(log, "other", 5)
    damage(segments(directory)[0].parent / "cursors/other.json", 10)
    with pytest.raises(Corrupt):
        _drop(log)
    assert events(directory) == [1, 2, 3, 4, 5]


def test_a_log_without_consumers_keeps_all_unless_a_place_stands_for_them(log: Log) -> None:
    assert _drop(log) == []
    assert _drop(log, passed=Position(3, HEADER_BYTES, 3)) == [1, 2]
    assert _drop(log, passed=log.end) == [3, 4]
    assert events(log.folder.path) == [5]


def test_a_log_without_consumers_keeps_what_is_young_or_few_enough(log: Log) -> None:
    age_of_2 = now_ms() - (START_MS + 120_000)
    size = segments(log.folder.path)[0].stat().st_size
    assert _drop(log, keep_ms=now_ms(), keep_bytes=1 << 40, passed=log.end) == []
    assert _drop(log, keep_ms=age_of_2 - 30_000, keep_bytes=1 << 40, passed=log.end) == [1, 2]
    assert _drop(log, keep_ms=now_ms(), keep_bytes=size, passed=log.end) == [3]


def test_a_place_beside_a_consumer_does_not_let_go_what_it_has_not_passed(log: Log) -> None:
    _save(log, "slow", 2)
    assert _drop(log, passed=log.end) == [1]


def test_a_short_disk_gets_the_oldest_delivered_segments_and_their_number_is_logged(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    _save(log, "file", 4)
    size = segments(log.folder.path)[0].stat().st_size
    assert _drop(log, keep_ms=now_ms(), keep_bytes=1 << 40, shortage=Shortage(bytes=size + 1)) == [1, 2]
    assert caplog.messages == [
        f"{log.folder.path}: the disk is short: 2 delivered segments ({2 * size} bytes) are given up before their "
        "retention is over"
    ]
    assert _drop(log, keep_ms=now_ms(), keep_bytes=1 << 40, shortage=Shortage(files=9)) == [3]
    assert events(log.folder.path) == [4, 5]


def test_what_retention_lets_go_anyway_is_not_called_given_up(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    _save(log, "file", 4)
    assert _drop(log, shortage=Shortage(files=2)) == [1, 2, 3]
    assert caplog.messages == []


def test_no_segment_is_opened_while_none_can_go(log: Log) -> None:
    class Counting(FaultyFiles):
        opened = 0

        def open(self, path: str, *, write: bool = False) -> int:
            self.opened += "/seg-" in path
            return super().open(path, write=write)

    _save(log, "file", 1)
    files = Counting()
    assert _drop(log, files=files, shortage=Shortage(bytes=1)) == []
    assert files.opened == 0


def test_no_segment_is_unlinked_without_a_descriptor_to_make_that_durable(log: Log, files: FaultyFiles) -> None:
    _save(log, "file", 5)
    files.fail("open_directory", errno.EMFILE, after=1)  # behind that of the cursors
    with pytest.raises(OSError, match="Too many open files"):
        _drop(log, files=files)
    assert "unlink" not in files.calls
    assert _drop(log, files=files) == [1, 2, 3, 4]


def test_a_wall_clock_that_is_set_makes_no_segment_old(clock: Clock) -> None:
    steady = steady_clock(clock, clock.monotonic)
    clock.stepped_ms = 365 * 86_400_000
    clock.ms += 5000
    assert steady() == START_MS + 5000
