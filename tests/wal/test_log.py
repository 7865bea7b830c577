"""The writer of a log: rotation, the full disk, the failed fsync, the lock; readers see acknowledged events only."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.processes import started
from tests.running import PATIENCE_SECONDS
from tests.wal.faulty_files import FaultyFiles, SmallDisk
from tests.wal.logs import Clock, crash_image, events, line, lines, read_blocks, segments
from wal.errors import LogClosed, LogFull, LogLocked, LogPoisoned
from wal.format import HEADER_BYTES, Position
from wal.log import Log
from wal.room import Shortage

_HOLD_THE_LOG = "import sys; from wal.log import Log; log = Log(sys.argv[1]); print('held', flush=True); input()"
_NO_ROOM = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]
_BLOCK = HEADER_BYTES + len(line(1))


class _Fault(NamedTuple):
    """Which call of a commit fails, and whether the segment is due before it."""

    call: str
    after: int = 0
    times: int = 1
    is_due: bool = True


@pytest.fixture
def log(directory: str, files: FaultyFiles, clock: Clock) -> Iterator[Log]:
    """A log with event 1, whose segments are due after two small blocks or one minute."""
    with closing(
        Log(directory, files=files, clock=clock, monotonic=clock.monotonic, segment_bytes=HEADER_BYTES + 2 * _BLOCK)
    ) as log:
        log.commit(line(1), 1)
        yield log


def _commit(log: Log, *events_: int) -> None:
    for number in events_:
        log.commit(line(number), 1)


@contextmanager
def _elsewhere(directory: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the log."""
    command = [sys.executable, "-c", _HOLD_THE_LOG, directory]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process


# Committing


def test_committed_events_are_read_back_in_order_with_their_sequences(log: Log, directory: str) -> None:
    log.commit(lines([2, 3, 4]), 3)
    _commit(log, 5)
    blocks = read_blocks(directory)
    assert [(block.header.sequence, block.header.records) for block in blocks] == [(1, 1), (2, 3), (5, 1)]
    assert events(directory) == [1, 2, 3, 4, 5]
    assert log.end.sequence == 6


def test_every_line_of_a_segment_is_json(log: Log, directory: str) -> None:
    log.mark_idle()
    log.commit(lines([2, 3]), 2)
    text = segments(directory)[0].read_text()
    assert [type(json.loads(row)) for row in text.splitlines()] == [list, list, dict, list, list, dict, dict]


def test_short_writes_lose_nothing(log: Log, directory: str, files: FaultyFiles) -> None:
    files.longest_write = 7
    _commit(log, 2, 3, 4)
    assert events(directory) == [1, 2, 3, 4]
    assert files.calls.count("write") > 60


# Rotation


def test_a_segment_that_reached_its_size_has_a_successor_from_the_next_commit_on(log: Log, directory: str) -> None:
    _commit(log, 2)
    assert len(segments(directory)) == 1
    _commit(log, 3, 4, 5)
    names = [path.name for path in segments(directory)]
    assert names == [f"seg-{number:010d}-{sequence:016d}.ndjson" for number, sequence in [(1, 1), (2, 3), (3, 5)]]
    assert events(directory) == [1, 2, 3, 4, 5]


def test_a_segment_of_its_age_has_a_successor_from_the_next_commit_on(log: Log, directory: str, clock: Clock) -> None:
    assert log.rotates_in == 60
    clock.ms += 59_999
    assert log.rotates_in == pytest.approx(0.001)
    _commit(log, 2)
    assert len(segments(directory)) == 1
    clock.ms += 1
    assert log.rotates_in == 0
    _commit(log, 3)
    assert len(segments(directory)) == 2
    assert events(directory) == [1, 2, 3]


def test_a_wall_clock_that_is_set_back_does_not_stop_rotation(log: Log, directory: str, clock: Clock) -> None:
    clock.stepped_ms = -3_600_000
    clock.ms += 60_000
    assert log.rotates_in == 0
    _commit(log, 2)
    assert [path.name[:14] for path in segments(directory)] == ["seg-0000000001", "seg-0000000002"]
    assert read_blocks(directory)[-1].header.timestamp_ms == clock()


def test_a_wall_clock_that_jumps_ahead_rotates_nothing(log: Log, directory: str, clock: Clock) -> None:
    clock.stepped_ms = 365 * 86_400_000
    log.mark_idle()
    _commit(log, 2)
    assert log.rotates_in == 60
    assert len(segments(directory)) == 1


def test_a_quiet_log_leaves_a_segment_of_its_age_too_but_never_an_empty_one(
    log: Log, directory: str, clock: Clock
) -> None:
    clock.ms += 60_000
    log.mark_idle()
    assert len(segments(directory)) == 2
    assert log.rotates_in is None
    clock.ms += 600_000
    log.mark_idle()
    assert len(segments(directory)) == 2


def test_the_symlink_points_to_the_active_segment(log: Log, directory: str) -> None:
    for number in range(2, 8):
        _commit(log, number)
        assert os.readlink(f"{directory}/current.ndjson") == segments(directory)[-1].name
        assert Path(directory, "current.ndjson").read_bytes().endswith(line(number))


def test_rotation_syncs_the_old_segment_before_the_new_one_and_the_new_one_before_its_use(
    log: Log, files: FaultyFiles
) -> None:
    _commit(log, 2)
    files.calls.clear()
    _commit(log, 3)
    seal, creation, block = files.calls[:2], files.calls[2:9], files.calls[9:]
    assert seal == ["sync", "truncate"]
    assert creation == ["create", "write", "sync_all", "rename", "symlink", "rename", "sync_directory"]
    assert block == ["reserve", "write", "sync"]


# Opening and closing


def test_every_open_starts_a_new_segment_and_goes_on_with_the_next_sequence(directory: str) -> None:
    for number in range(1, 4):
        with closing(Log(directory)) as log:
            assert log.end == Position(number, HEADER_BYTES, number)
            _commit(log, number)
    assert events(directory) == [1, 2, 3]


def test_the_id_of_a_log_is_made_once_and_differs_from_every_other(directory: str) -> None:
    with closing(Log(directory)) as first, closing(Log(f"{directory}-2")) as other:
        assert first.log_id != other.log_id
    content = Path(directory, "log.json").read_bytes()
    with closing(Log(directory)) as again:
        assert again.log_id == first.log_id
    assert Path(directory, "log.json").read_bytes() == content == b'{"v":1,"log_id":"%b"}\n' % first.log_id


def test_a_pause_is_marked_by_one_empty_block_that_proves_the_last_event(log: Log, directory: str) -> None:
    end = log.end
    for _ in range(3):
        log.mark_idle()
    _, idle = read_blocks(directory)
    assert (idle.header.records, idle.payload, idle.header.durable) == (0, b"", end.offset)
    assert log.end.sequence == end.sequence
    _commit(log, 2)
    assert events(directory) == [1, 2]


def test_close_proves_the_last_event_and_gives_back_what_was_reserved(log: Log, directory: str) -> None:
    log.close()
    assert read_blocks(directory)[-1].header.records == 0
    (segment,) = segments(directory)
    assert segment.stat().st_blocks * 512 < 1 << 20
    log.close()
    for call in (log.mark_idle, lambda: _commit(log, 2)):
        with pytest.raises(LogClosed):
            call()


def test_a_second_writer_in_the_same_process_is_refused(log: Log, directory: str) -> None:
    with pytest.raises(LogLocked, match="held by another process"):
        Log(directory)
    _commit(log, 2)
    log.close()
    Log(directory).close()


def test_a_writer_in_another_process_keeps_the_log_until_it_dies(directory: str) -> None:
    with _elsewhere(directory) as process:
        with pytest.raises(LogLocked):
            Log(directory)
        process.kill()
        process.wait(PATIENCE_SECONDS)
        Log(directory).close()


def test_another_process_is_refused_while_this_one_writes(log: Log, directory: str) -> None:
    command = [sys.executable, "-c", _HOLD_THE_LOG, directory]
    other = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert other.returncode == 1
    assert "LogLocked" in other.stderr


@pytest.mark.parametrize("call", ["create", "write", "sync_all", "rename", "sync_directory"])
def test_an_open_that_fails_lets_go_of_the_lock_and_can_be_repeated(
    directory: str, files: FaultyFiles, call: str
) -> None:
    Log(directory).close()
    files.fail(call, errno.EIO)
    with pytest.raises((OSError, LogPoisoned)):
        Log(directory, files=files)
    with closing(Log(directory)) as log:
        _commit(log, 1)
    assert events(directory) == [1]


# The full disk


@pytest.mark.parametrize("number", _NO_ROOM)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(_Fault("write", is_due=False), id="at the write"),
        pytest.param(_Fault("create"), id="at the creation of a segment"),
        pytest.param(_Fault("write"), id="at the header of a segment"),
        pytest.param(_Fault("sync_all"), id="at the sync of that header"),
        pytest.param(_Fault("rename"), id="at its rename"),
        pytest.param(_Fault("reserve", times=2), id="at its first reservation"),
        pytest.param(_Fault("write", after=1), id="at its first block"),
    ],
)
def test_a_full_disk_refuses_the_commit_and_no_later_one(
    log: Log, files: FaultyFiles, clock: Clock, number: int, fault: _Fault
) -> None:
    clock.ms += 60_000 * fault.is_due
    files.fail(fault.call, number, after=fault.after, times=fault.times)
    with pytest.raises(LogFull, match="make room on the disk"):
        log.commit(line(0), 1)
    assert log.end.sequence == 2
    assert events(log.folder.path) == [1]
    _commit(log, 2, 3)
    assert events(log.folder.path) == [1, 2, 3]
    assert events(crash_image(log.folder.path)) == [1, 2, 3]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
@pytest.mark.parametrize("call", ["open_directory", "create"])
def test_a_want_of_file_descriptors_refuses_the_commit_and_no_later_one(
    log: Log, files: FaultyFiles, clock: Clock, number: int, call: str
) -> None:
    clock.ms += 60_000
    files.fail(call, number)
    with pytest.raises(LogFull, match=f"{log.folder.path}: .*out of file descriptors; .*, raise "):
        log.commit(line(0), 1)
    assert events(log.folder.path) == [1]
    _commit(log, 2, 3)
    assert events(crash_image(log.folder.path)) == [1, 2, 3]
    assert not log.room.is_short


def test_a_rotation_by_age_that_finds_no_descriptor_is_tried_again(log: Log, files: FaultyFiles, clock: Clock) -> None:
    clock.ms += 60_000
    files.fail("open_directory", errno.EMFILE)
    with pytest.raises(LogFull, match=r"raise ulimit -n or lower limits\.connections"):
        log.mark_idle()
    log.mark_idle()
    assert len(segments(log.folder.path)) == 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("written", [1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, _BLOCK - 1])
def test_a_part_of_a_block_is_void_and_the_next_commit_is_in_a_new_segment(
    log: Log, directory: str, files: FaultyFiles, number: int, written: int
) -> None:
    files.longest_write = written
    files.fail("write", number, after=1)
    size, end = segments(directory)[0].stat().st_size, log.end
    with pytest.raises(LogFull):
        log.commit(line(0), 1)
    files.heal()
    assert segments(directory)[0].stat().st_size == size + written
    assert log.end == end
    assert events(directory) == [1]
    crashed = crash_image(directory)
    _commit(log, 2)
    assert log.end == Position(2, HEADER_BYTES + _BLOCK, 3)
    assert events(directory) == [1, 2]
    for image, known, is_torn in ((crashed, [1], True), (crash_image(directory), [1, 2], False)):
        with closing(Log(image)) as recovered:
            assert (recovered.torn is not None) == is_torn
            _commit(recovered, 9)
        assert events(image) == [*known, 9]


def test_a_failed_reservation_writes_nothing_and_the_segment_stays_in_use(directory: str, files: FaultyFiles) -> None:
    with closing(Log(directory, files=files)) as log:
        files.calls.clear()
        files.fail("reserve", errno.ENOSPC, times=2)
        with pytest.raises(LogFull):
            log.commit(line(0), 1)
        assert files.calls == ["reserve", "reserve"]
        _commit(log, 1)
    assert len(segments(directory)) == 1
    assert events(directory) == [1]


def test_a_disk_that_stays_full_refuses_again_and_again_and_then_takes_the_next(
    log: Log, directory: str, files: FaultyFiles
) -> None:
    files.fail("write", errno.ENOSPC, times=20)
    for _ in range(20):
        with pytest.raises(LogFull):
            log.commit(line(0), 1)
    _commit(log, 2)
    assert events(directory) == [1, 2]
    assert len(segments(directory)) == 2


def test_a_log_on_a_full_disk_can_be_closed(log: Log, directory: str, files: FaultyFiles) -> None:
    files.fail("write", errno.ENOSPC)
    with pytest.raises(LogFull):
        log.close()
    with closing(Log(directory)):
        assert events(directory) == [1]


# The failed fsync


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(_Fault("sync", is_due=False), id="of a block"),
        pytest.param(_Fault("sync"), id="of a segment that is left"),
        pytest.param(_Fault("sync_directory"), id="of the directory"),
        pytest.param(_Fault("sync", after=1), id="of the first block of a segment"),
    ],
)
def test_failed_fsync_poisons_the_log_until_restart(
    log: Log, files: FaultyFiles, clock: Clock, number: int, fault: _Fault
) -> None:
    clock.ms += 60_000 * fault.is_due
    files.fail(fault.call, number, after=fault.after, times=fault.times)
    with pytest.raises(LogPoisoned, match="restart to recover"):
        log.commit(line(0), 1)
    files.calls.clear()
    for call_again in (log.mark_idle, lambda: _commit(log, 2)):
        with pytest.raises(LogPoisoned):
            call_again()
    log.close()
    assert files.calls == []  # neither retried nor written to again
    with closing(Log(log.folder.path)) as restarted:
        assert events(log.folder.path) in ([1], [1, 0])
        _commit(restarted, 2)
    assert events(log.folder.path) in ([1, 2], [1, 0, 2])


@pytest.mark.parametrize("call", ["sync_all", "rename", "create", "write"])
def test_a_broken_disk_at_the_creation_of_a_segment_poisons_the_log(
    log: Log, directory: str, files: FaultyFiles, clock: Clock, call: str
) -> None:
    clock.ms += 60_000
    files.fail(call, errno.EIO)
    for _ in range(2):
        with pytest.raises(LogPoisoned):
            log.commit(line(0), 1)
    assert events(directory) == [1]


def test_an_error_names_the_log_and_the_reason(log: Log, directory: str, files: FaultyFiles) -> None:
    files.fail("write", errno.EIO)
    with pytest.raises(LogFull, match=f"{directory}: Input/output error; .* look for the disk's errors in dmesg"):
        log.commit(line(0), 1)
    files.fail("sync", errno.EIO)
    with pytest.raises(LogPoisoned, match=f"{directory}: fsync failed .Input/output error.; .* restart to recover"):
        log.commit(line(0), 1)


# Room on the disk, and who holds the log


def test_below_the_watermark_commits_are_refused_until_there_is_room(
    directory: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SmallDisk()
    with closing(
        Log(directory, files=disk, clock=clock, monotonic=clock.monotonic, warn_free_bytes=900, min_free_bytes=500)
    ) as log:
        _commit(log, 1)
        disk.free = 800
        clock.ms += 200
        _commit(log, 2)
        assert caplog.messages == [f"{directory}: only 800 bytes are free on this disk"]
        disk.free = 499
        clock.ms += 200
        with pytest.raises(LogFull, match="499 bytes are free, under the 500"):
            log.commit(line(0), 1)
        log.mark_idle()  # what proves the last event durable has its room from the rest
        disk.free = 500
        clock.ms += 200
        _commit(log, 3)
    assert events(directory) == [1, 2, 3]
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("free", "least", "pressure"), [(1000, 500, 0.5), (1000, 0, 0), (500, 500, 1), (250, 500, 2), (0, 500, 500)]
)
def test_fullness_is_the_bytes_that_must_stay_free_as_a_share_of_those_that_are(
    directory: str, clock: Clock, free: int, least: int, pressure: float
) -> None:
    disk = SmallDisk()
    disk.free = free
    with closing(Log(directory, files=disk, clock=clock, monotonic=clock.monotonic, min_free_bytes=least)) as log:
        assert log.room.pressure == pytest.approx(0)
        log.mark_idle()
        assert log.room.pressure == pytest.approx(pressure)


def test_room_is_found_again_though_nobody_commits(directory: str, clock: Clock) -> None:
    disk = SmallDisk()
    disk.free = 499
    with closing(Log(directory, files=disk, clock=clock, monotonic=clock.monotonic, min_free_bytes=500)) as log:
        with pytest.raises(LogFull):
            log.commit(line(0), 1)
        disk.free = 5000
        clock.ms += 200
        log.mark_idle()
        assert log.room.pressure == pytest.approx(0.1)


def test_the_disk_is_asked_for_its_room_every_200_ms_and_not_at_each_commit(directory: str, clock: Clock) -> None:
    disk = SmallDisk()
    with closing(Log(directory, files=disk, clock=clock, monotonic=clock.monotonic, min_free_bytes=500)) as log:
        _commit(log, 1)
        disk.free = 499
        clock.ms += 199
        _commit(log, 2)
        assert disk.looks == 1
        clock.ms += 1
        for _ in range(3):
            with pytest.raises(LogFull, match="are kept for cursors and deletion; make room on the disk"):
                log.commit(line(0), 1)
        assert disk.looks == 2
        disk.free = 500
        clock.ms += 200
        clock.stepped_ms = -3_600_000  # a wall clock that is set back does not keep the log shut
        _commit(log, 3)
    assert events(directory) == [1, 2, 3]


def test_below_the_reserve_of_inodes_commits_are_refused_until_there_are_some(
    directory: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SmallDisk()
    disk.free, disk.all_inodes = 1 << 40, 100_000
    with closing(Log(directory, files=disk, clock=clock, monotonic=clock.monotonic)) as log:
        for number, (disk.inodes, share) in enumerate(((1024, 0.25), (512, 0.5), (511, 0.501), (256, 1)), 1):
            clock.ms += 200
            _commit(log, number)
            assert log.room.pressure == pytest.approx(share, rel=0.001)
            assert log.room.is_short == (disk.inodes < 512)
        disk.inodes = 255
        clock.ms += 200
        with pytest.raises(LogFull, match="only 255 inodes are free, under the 256 that are kept"):
            log.commit(line(0), 1)
        log.mark_idle()
        disk.inodes = 256
        clock.ms += 200
        _commit(log, 5)
    assert caplog.messages == [f"{directory}: only 512 inodes are free on this disk"]


def test_a_disk_is_short_before_commits_are_refused(directory: str, clock: Clock) -> None:
    disk = SmallDisk()
    least = 100 << 20
    with closing(Log(directory, files=disk, clock=clock, monotonic=clock.monotonic, min_free_bytes=least)) as log:
        for disk.free, missing in ((2 * least, 0), (2 * least - 1, 1), (least, least)):
            clock.ms += 200
            log.mark_idle()
            assert log.room.is_short == (missing > 0)
            assert log.room.shortage() == Shortage(bytes=missing)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_refusal_that_the_disks_numbers_do_not_explain_is_a_shortage_of_one_segment_once(
    log: Log, files: FaultyFiles, number: int
) -> None:
    files.fail("write", number)
    with pytest.raises(LogFull):
        log.commit(line(0), 1)
    assert log.room.is_short
    assert log.room.shortage() == Shortage(bytes=1, files=1)
    assert not log.room.is_short
    assert log.room.shortage() == Shortage()


def test_each_time_that_room_gets_low_there_is_one_warning(
    directory: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    disk = SmallDisk()
    with closing(Log(directory, files=disk, clock=clock, monotonic=clock.monotonic, warn_free_bytes=900)) as log:
        for number, disk.free in enumerate((900, 899, 898, 900, 897), 1):
            clock.ms += 200
            _commit(log, number)
    assert [message.split()[-7] for message in caplog.messages] == ["899", "897"]


def test_a_segment_that_may_not_grow_is_left_for_another(directory: str, files: FaultyFiles) -> None:
    with closing(Log(directory, files=files)) as log:
        filler = b"x" * (7 << 20)
        for number in range(1, 4):  # as many as the first reservation holds
            log.commit(b'{"n":%d,"x":"%b"}\n' % (number, filler), 1)
        files.fail("reserve", errno.EFBIG, times=2)
        with pytest.raises(LogFull, match="File too large; nothing was kept"):
            log.commit(b'{"n":0,"x":"%b"}\n' % filler, 1)
        _commit(log, 4)
        assert log.end.segment == 2
    assert events(directory) == [1, 2, 3, 4]


@pytest.mark.parametrize("is_full", [False, True])
def test_a_log_whose_proof_found_no_room_is_sealed_and_closed_all_the_same(
    directory: str, files: FaultyFiles, is_full: bool
) -> None:
    log = Log(directory, files=files)
    _commit(log, 1)
    if is_full:
        files.fail("write", errno.ENOSPC)
        with pytest.raises(LogFull):
            log.seal()
    log.seal()
    log.close()
    assert [block.header.records for block in read_blocks(directory)] == ([1] if is_full else [1, 0])
    Log(directory).close()
    assert events(directory) == [1]


def test_a_sealed_log_stays_locked_until_it_is_closed(directory: str) -> None:
    log = Log(directory)
    log.commit(line(1), 1)
    for _ in range(2):
        log.seal()
        with pytest.raises(LogClosed):
            log.commit(line(2), 1)
        with pytest.raises(LogLocked):
            Log(directory)
    for _ in range(2):
        log.close()
    Log(directory).close()
    assert events(directory) == [1]


def test_a_failed_fsync_at_the_seal_is_reported_as_what_it_is(directory: str, files: FaultyFiles) -> None:
    log = Log(directory, files=files)
    _commit(log, 1)
    log.mark_idle()
    files.fail("sync", errno.EIO)
    with pytest.raises(LogPoisoned, match="fsync failed"):
        log.seal()
    log.close()
    assert events(directory) == [1]
