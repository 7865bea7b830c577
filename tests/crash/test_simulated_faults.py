"""Single faults on a simulated disk: those that the random cases have found, and those that they do not reach."""

import errno
import json
from contextlib import suppress
from random import Random

import pytest

import wal.damage
from tests.crash.history import DIRECTORY
from tests.crash.simulated_disk import Fault, PowerCut, SimulatedFiles
from tests.crash.simulated_storage import Disk
from wal import damage
from wal.cursor import Cursor
from wal.damage import Damage, Kind
from wal.errors import Broken, Corrupt, LogFull
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, MAX_BLOCK_BYTES, MAX_LINE_BYTES, Position, SegmentName
from wal.log import Log
from wal.reader import Reader, read_all
from wal.sealed import drop_segments
from wal.segment import Block


@pytest.fixture
def files() -> SimulatedFiles:
    """A process on an empty disk that keeps no more than POSIX says."""
    return SimulatedFiles(Random(0), Disk(is_journaled=False))


def test_a_block_that_is_cut_out_before_the_last_one_is_not_taken_for_a_torn_write(files: SimulatedFiles) -> None:
    starts = _commit(_open(files), 3)
    _replace(files, 1, starts[1].offset, starts[2].offset)
    log = _open(files.kill())
    assert (log.torn, _found(log), _lost(log)) == (None, [1], {2, 3})


def test_a_segment_that_has_lost_its_first_line_is_not_taken_for_a_torn_write(files: SimulatedFiles) -> None:
    _commit(_open(files), 1)
    _replace(files, 1, 0, HEADER_BYTES)
    log = _open(files.kill())
    assert (log.torn, _lost(log)) == (None, {1})


def test_bytes_cut_out_before_a_cursor_do_not_hide_what_is_behind_it(files: SimulatedFiles) -> None:
    log = _open(files)
    starts = _commit(log, 3)
    LogFolder(files, DIRECTORY).save_cursor("file", Cursor(starts[2]))
    _replace(files, 1, starts[0].offset + HEADER_BYTES, starts[1].offset)
    log = _open(files.kill())
    assert _lost(log) | set(_found(log)) == {1, 2, 3}


def test_two_segments_that_have_changed_places_halt_the_start(files: SimulatedFiles) -> None:
    _commit(_open(files, segment_bytes=1), 2)
    first, second = (files.file(f"{DIRECTORY}/{name}") for name in LogFolder(files, DIRECTORY).segments())
    contents = bytes(second.content), bytes(first.content)
    first.replace(contents[0])
    second.replace(contents[1])
    with pytest.raises(Broken):
        _open(files.kill())


def test_damage_that_grows_is_in_the_ledger_in_full(files: SimulatedFiles) -> None:
    starts = _commit(_open(files), 4)
    for block in starts[1:3]:
        _replace(files, 1, block.offset, block.offset + 1, b"x")
        files = files.kill()
        _record_all(_open(files))
    lines = [json.loads(line) for line in files.file(f"{DIRECTORY}/{damage.FILE_NAME}").content.splitlines()]
    assert {number for line in lines for number in range(line["from"]["seq"], line["to"]["seq"])} == {2, 3}


def test_a_segment_can_be_given_up_although_its_header_was_damaged_before(files: SimulatedFiles) -> None:
    log = _open(files, segment_bytes=1)
    _commit(log, 3)
    _replace(files, 2, 0, 1, b"x")
    _record_all(log)
    _give_up(files, 2)
    assert _found(_open(files.kill())) == [1, 3]


def test_a_whole_block_is_read_although_the_segment_behind_it_is_missing(files: SimulatedFiles) -> None:
    starts = _commit(_open(files), 2)
    _open(files := files.kill())  # segment 2, which stays empty
    _open(files := files.kill())
    _give_up(files, 2)
    _replace(files, 1, starts[0].offset, starts[0].offset + 1, b"x")
    log = _open(files.kill())
    assert (_found(log), _lost(log)) == ([2], {1})


@pytest.mark.parametrize("content", [b"\0" * 40, b"[]\n", b'{"v":1}\n', b'{"v":1,"kind":"miss'], ids=repr)
def test_a_damaged_ledger_is_reported(files: SimulatedFiles, content: bytes) -> None:
    starts = _commit(_open(files), 2)
    _replace(files, 1, starts[0].offset, starts[0].offset + 1, b"x")
    _open(files := files.kill())
    files.file(f"{DIRECTORY}/{damage.FILE_NAME}").replace(content)
    with pytest.raises(Corrupt, match=damage.FILE_NAME):
        _open(files.kill())


def test_a_damaged_header_of_a_segment_does_not_stop_retention(files: SimulatedFiles) -> None:
    log = _open(files, segment_bytes=1)
    _commit(log, 4)
    _replace(files, 2, 0, 1, b"x")
    LogFolder(files, DIRECTORY).save_cursor("file", Cursor(log.end))
    assert [name.number for name in _drop(log)] == [1, 2, 3]


@pytest.mark.parametrize("calls", range(1, 8))
def test_a_crash_while_segments_are_dropped_leaves_no_gap(files: SimulatedFiles, calls: int) -> None:
    log = _open(files, segment_bytes=1)
    _commit(log, 4)
    LogFolder(files, DIRECTORY).save_cursor("file", Cursor(log.end))
    files.crash_at = files.calls + calls
    with suppress(PowerCut):
        _drop(log)
    for seed in range(50):
        assert _found(_open(files.crash(Random(seed))))[-1] == 4


@pytest.mark.parametrize("calls", range(1, 8))
def test_no_segment_is_dropped_for_a_cursor_that_is_not_durable(files: SimulatedFiles, calls: int) -> None:
    log = _open(files, segment_bytes=1)
    _commit(log, 3)
    LogFolder(files, DIRECTORY).save_cursor("file", Cursor(Position(1, HEADER_BYTES, 1)))
    files.crash_at = files.calls + calls
    with suppress(PowerCut):
        LogFolder(files, DIRECTORY).save_cursor("file", Cursor(log.end))
    log = _open(files := files.kill())
    _drop(log)
    for seed in range(50):
        _open(files.crash(Random(seed)))


@pytest.mark.parametrize("calls", range(1, 20))
def test_a_directory_that_a_killed_process_made_is_durable_before_an_event_is(
    files: SimulatedFiles, calls: int
) -> None:
    files.crash_at = calls
    with suppress(PowerCut):
        _open(files)
    _commit(_open(files := files.kill()), 1)
    for seed in range(20):
        assert _found(_open(files.crash(Random(seed)))) == [1]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["reserve", "write", "create", "sync_all", "rename", "truncate", "symlink"])
@pytest.mark.parametrize("nth", [1, 2])
def test_a_full_disk_refuses_events_until_there_is_room(
    files: SimulatedFiles, call: str, number: int, nth: int
) -> None:
    log = _open(files, segment_bytes=1)
    _commit(log, 2)
    files.faults = [Fault(call, nth, number)]
    refused = 0
    for _ in range(3):
        before = log.end.sequence
        try:
            _commit(log, 1)
        except LogFull:
            refused += 1
            assert log.end.sequence == before
    assert refused <= 1
    assert files.fired
    assert _found(_open(files.crash(Random(0)))) == list(range(1, log.end.sequence))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize(("call", "nth"), [("create", 1), ("open_directory", 1), ("create", 2), ("open_directory", 2)])
def test_a_want_of_descriptors_at_a_rotation_refuses_events_until_there_are_some(
    files: SimulatedFiles, call: str, nth: int, number: int
) -> None:
    log = _open(files, segment_bytes=1)
    _commit(log, 2)
    files.faults = [Fault(call, nth, number)]
    _commit(log, nth - 1)
    with pytest.raises(LogFull, match="out of file descriptors"):
        _commit(log, 1)
    _commit(log, 4 - nth)
    assert _found(_open(files.crash(Random(0)))) == [1, 2, 3, 4, 5]


def test_a_disk_without_inodes_takes_events_again_once_there_are_some(files: SimulatedFiles) -> None:
    log = _open(files, segment_bytes=1)
    _commit(log, 2)
    files.disk.inodes = files.disk.used_inodes()
    for _ in range(3):
        with pytest.raises(LogFull, match="No space left on device"):
            _commit(log, 1)
    files.disk.inodes += 2
    _commit(log, 1)
    assert _found(_open(files.crash(Random(0)))) == [1, 2, 3]


def test_a_disk_without_room_takes_events_again_once_there_is_some(files: SimulatedFiles) -> None:
    log = _open(files)
    files.disk.capacity = 3000
    with pytest.raises(LogFull):
        _commit(log, 100)
    acknowledged = log.end.sequence - 1
    assert acknowledged > 0
    files.disk.capacity = 1 << 30
    _commit(log, 1)
    assert _found(_open(files.crash(Random(0)))) == list(range(1, acknowledged + 2))


@pytest.mark.parametrize("lines", [8, 1_000_000, 1])
def test_the_largest_lines_and_blocks_that_are_written_are_read(files: SimulatedFiles, lines: int) -> None:
    length = min(MAX_BLOCK_BYTES // lines, MAX_LINE_BYTES)
    payload = b'{"a":1%b}\n' % (b" " * (length - 8)) * lines if length > 8 else b"{}\n" * lines
    log = _open(files)
    log.commit(payload, lines)
    log = _open(files.kill())
    (block,) = [step for step in _steps(log) if isinstance(step, Block)]
    assert (block.header.records, block.payload == payload) == (lines, True)


def test_damage_that_nothing_proves_is_taken_for_a_torn_write_and_kept(files: SimulatedFiles) -> None:
    starts = _commit(_open(files), 2)
    _replace(files, 1, starts[1].offset, starts[1].offset + 1, b"x")
    log = _open(files.kill())
    assert log.torn
    assert (log.torn.offset, _found(log)) == (starts[1].offset, [1])


def test_an_idle_block_proves_the_event_before_it(files: SimulatedFiles) -> None:
    log = _open(files)
    starts = _commit(log, 2)
    log.mark_idle()
    _replace(files, 1, starts[1].offset, starts[1].offset + 1, b"x")
    log = _open(files.kill())
    assert (log.torn, _found(log), _lost(log)) == (None, [1], {2})


def _open(files: SimulatedFiles, *, segment_bytes: int = 1 << 20) -> Log:
    return Log(DIRECTORY, files=files, segment_bytes=segment_bytes, clock=lambda: 1_700_000_000_000)


def _commit(log: Log, count: int) -> list[Position]:
    """Commit blocks of one event; returns where they begin, if the segment is not left."""
    starts = []
    for _ in range(count):
        starts.append(log.end)
        log.commit(b'{"n":%d}\n' % log.end.sequence, 1)
    return starts


def _steps(log: Log) -> list[Block | Damage]:
    start = log.folder.oldest()
    assert start
    return list(read_all(Reader(log.folder, start), log.end))


def _found(log: Log) -> list[int]:
    """The sequences of the blocks that can be read."""
    return [step.start.sequence for step in _steps(log) if isinstance(step, Block) and step.header.records]


def _lost(log: Log) -> set[int]:
    """The sequences of the events that are reported lost."""
    damages = [step for step in _steps(log) if isinstance(step, Damage)]
    return {number for each in damages for number in range(each.start.sequence, each.end.sequence)}


def _record_all(log: Log) -> None:
    for step in _steps(log):
        if isinstance(step, Damage):
            wal.damage.append(log.folder, step)


def _drop(log: Log) -> list[SegmentName]:
    return drop_segments(log.folder, expected=["file"], keep_ms=0, keep_bytes=0)


def _replace(files: SimulatedFiles, number: int, first: int, last: int, content: bytes = b"") -> None:
    """Put other bytes into a segment, on the disk too."""
    file = files.file(f"{DIRECTORY}/{_segment(files, number)}")
    file.replace(bytes(file.content[:first]) + content + bytes(file.content[last:]))


def _give_up(files: SimulatedFiles, number: int) -> None:
    """Unlink a segment and account for it."""
    following = _segment(files, number + 1)
    start = Position(number, 0, _segment(files, number).sequence)
    files.unlink(f"{DIRECTORY}/{_segment(files, number)}")
    files.sync_directory(DIRECTORY)
    wal.damage.append(
        LogFolder(files, DIRECTORY),
        Damage(Kind.MISSING, start, Position(number + 1, HEADER_BYTES, following.sequence), "gone"),
    )


def _segment(files: SimulatedFiles, number: int) -> SegmentName:
    return next(name for name in LogFolder(files, DIRECTORY).segments() if name.number == number)
