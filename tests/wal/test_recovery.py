"""Recovery: a torn tail is cut and kept, damage loses what it hit and nothing else, and twice is the same as once."""

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wal.damage
from tests.wal.faulty_files import FaultyFiles
from tests.wal.logs import FILES, Clock, crash_image, damage, events, line, lines, read_blocks, segments
from wal.cursor import Cursor
from wal.damage import Damage, Kind, read_ledger
from wal.errors import Broken, Corrupt, Unreadable
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position, SegmentName
from wal.log import Log
from wal.recovery import Recovered, recover

_LAST = lines([4, 5])
_LAST_BYTES = HEADER_BYTES + len(_LAST)


@pytest.fixture
def crashed(directory: str, clock: Clock) -> str:
    """What a kill leaves of a log: events 1 and 2 in its first segment, 3 alone and then 4 with 5 in its last."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        log.commit(lines([1, 2]), 2)
        clock.ms += 60_000
        log.commit(line(3), 1)
        log.commit(_LAST, 2)
        return crash_image(directory)


def _last(directory: str) -> Path:
    return segments(directory)[-1]


def _recover(directory: str) -> Recovered:
    return recover(LogFolder(FILES, directory))


def _tree(directory: str) -> dict[str, bytes]:
    """Every file and its bytes."""
    return {str(path): path.read_bytes() for path in Path(directory).rglob("*") if path.is_file()}


def _save_cursor(directory: str, place: Position) -> None:
    LogFolder(FILES, directory).save_cursor("file", Cursor(place))


def _assert_halts(directory: str, message: str) -> None:
    before = _tree(directory)
    for _ in range(2):
        with pytest.raises(Broken, match=message):
            Log(directory)
    assert _tree(directory) == before


# Nothing to repair


def test_a_new_log_begins_with_segment_1_and_sequence_1(directory: str) -> None:
    os.mkdir(directory)
    assert recover(LogFolder(FILES, directory, b"0" * 16)) == Recovered(1, 1, 0, 0, None, [])


def test_all_events_of_a_killed_log_are_there_and_nothing_is_torn(crashed: str) -> None:
    blocks, size = read_blocks(crashed), _last(crashed).stat().st_size
    assert _recover(crashed) == Recovered(3, 6, size, blocks[-1].header.header_crc, None, [])
    assert events(crashed) == [1, 2, 3, 4, 5]
    assert not os.path.exists(f"{crashed}/quarantine")


def test_a_log_that_was_closed_twice_without_an_event_recovers(directory: str) -> None:
    for number in range(1, 4):
        with closing(Log(directory)) as log:
            assert (log.torn, log.end) == (None, Position(number, HEADER_BYTES, 1))


def test_unfinished_files_are_removed(crashed: str) -> None:
    _save_cursor(crashed, Position(1, HEADER_BYTES, 1))
    leftovers = [Path(crashed, name) for name in (f"{SegmentName(3, 6)}.tmp", "log.json.tmp", "cursors/file.json.tmp")]
    for path in leftovers:
        path.write_bytes(b"half")
    os.symlink("nowhere", f"{crashed}/current.ndjson.tmp")
    _recover(crashed)
    assert not any(path.exists() for path in leftovers)
    assert not os.path.lexists(f"{crashed}/current.ndjson.tmp")
    assert os.listdir(f"{crashed}/cursors") == ["file.json"]


def test_the_last_segment_is_read_from_the_disk_and_not_from_the_cache(crashed: str) -> None:
    class Watched(FaultyFiles):
        def forget_cache(self, descriptor: int, offset: int = 0, length: int = 0) -> None:
            self._meet("forget_cache")

        def read(self, descriptor: int, length: int, offset: int) -> bytes:
            self._meet(f"read {os.path.basename(os.readlink(f'/proc/self/fd/{descriptor}'))}")
            return super().read(descriptor, length, offset)

    files = Watched()
    recover(LogFolder(files, crashed))
    read = f"read {_last(crashed).name}"
    assert [call for call in files.calls if call in ("sync", "forget_cache", read)][:3] == [
        "sync",
        "forget_cache",
        read,
    ]


# The torn tail


def test_a_last_block_that_is_cut_at_any_byte_goes_and_its_bytes_are_kept(crashed: str) -> None:
    whole = _last(crashed).read_bytes()
    end = len(whole) - _LAST_BYTES
    before, known = read_blocks(crashed)[:-1], [1, 2, 3]
    for cut in range(1, _LAST_BYTES):
        _last(crashed).write_bytes(whole[: end + cut])
        recovered = _recover(crashed)
        assert recovered[:4] == (3, 4, end, before[-1].header.header_crc)
        assert recovered.torn is not None
        assert recovered.torn[:3] == (str(_last(crashed)), end, cut)
        assert Path(recovered.torn.kept_at).read_bytes() == whole[end : end + cut]
        assert _last(crashed).read_bytes() == whole[:end]
        assert events(crashed) == known


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda tail: bytes(len(tail)), id="zeros"),
        pytest.param(lambda tail: bytes(20) + tail[20:], id="zeros at the start"),
        pytest.param(lambda tail: tail[:-5] + bytes(5), id="zeros at the end"),
        pytest.param(lambda tail: tail[:100] + bytes(4096), id="zeros behind a part of the header"),
        pytest.param(lambda tail: tail[:HEADER_BYTES] + bytes(len(tail) - HEADER_BYTES), id="zeros for payload"),
        pytest.param(lambda _: b"\xff\x00garbage\n{}\n[1]\n" * 40, id="garbage"),
        pytest.param(lambda tail: tail[:HEADER_BYTES] + tail[: HEADER_BYTES - 1] * 20, id="half headers"),
        pytest.param(lambda _: b"x" * (5 << 19), id="more than is read at once"),
    ],
)
def test_a_spoiled_tail_goes_and_its_bytes_are_kept(crashed: str, spoil: Callable[[bytes], bytes]) -> None:
    whole = _last(crashed).read_bytes()
    end = len(whole) - _LAST_BYTES
    tail = spoil(whole[end:])
    _last(crashed).write_bytes(whole[:end] + tail)
    with closing(Log(crashed)) as log:
        assert log.torn is not None
        assert Path(log.torn.kept_at).read_bytes() == tail
        assert log.torn.kept_at == f"{crashed}/quarantine/{segments(crashed)[1].name}.{end}"
        log.commit(line(6), 1)
    assert [block.header.sequence for block in read_blocks(crashed) if block.header.records] == [1, 3, 4]
    assert events(crashed) == [1, 2, 3, 6]


def test_a_last_block_whose_sectors_are_lost_in_any_combination_is_torn(crashed: str, tmp_path: Path) -> None:
    with closing(Log(crashed)) as log:
        log.commit(b'{"n":6,"x":"%b"}\n' % (b"x" * 5000), 1)
        whole = Path(crash_image(crashed))
    segment = _last(str(whole)).read_bytes()
    sectors = range(512, len(segment), 512)  # the first holds the segment's header, which was fsynced

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.booleans(), min_size=len(sectors), max_size=len(sectors)), st.integers(0, len(segment) - 512))
    def recovers(is_lost: list[bool], cut: int) -> None:
        spoiled = bytearray(segment)
        for start, lost in zip(sectors, is_lost, strict=True):
            if lost:
                spoiled[start : start + 512] = bytes(len(spoiled[start : start + 512]))
        _last(str(whole)).write_bytes(spoiled[: len(spoiled) - cut])
        is_whole = not any(is_lost) and cut == 0
        recovered = _recover(str(whole))
        assert (recovered.torn is None, recovered.sequence) == (is_whole, 7 if is_whole else 6)

    recovers()


def test_the_kept_bytes_are_on_the_disk_before_the_tail_is_cut(crashed: str, files: FaultyFiles) -> None:
    _last(crashed).write_bytes(_last(crashed).read_bytes()[:-3])
    os.mkdir(f"{crashed}/quarantine")
    recover(LogFolder(files, crashed))
    assert files.calls == [
        "sync",
        *("sync_directory", "create", "write", "sync_all", "sync_directory"),  # of the quarantine
        *("truncate", "sync_all", "sync_directory"),  # of the segment
    ]


def test_recovery_twice_is_the_same_as_once(crashed: str) -> None:
    with _last(crashed).open("ab") as file:
        file.write(b'["EVB1","half a header')
    once = _recover(crashed)
    assert once.torn is not None
    kept = _tree(crashed)
    assert _recover(crashed) == once._replace(torn=None)
    assert _tree(crashed) == kept


@pytest.mark.parametrize("call", ["sync", "create", "write", "sync_all", "sync_directory", "truncate", "unlink"])
@pytest.mark.parametrize("after", [0, 1])
def test_a_recovery_that_was_interrupted_at_any_step_is_made_good_by_the_next(
    crashed: str, files: FaultyFiles, call: str, after: int
) -> None:
    whole = _last(crashed).read_bytes()
    _last(crashed).write_bytes(whole[:-3])
    Path(crashed, "a.tmp").touch()
    files.fail(call, errno.EIO, after=after)
    is_interrupted = True
    try:
        recover(LogFolder(files, crashed))
        is_interrupted = False
    except OSError:
        pass
    again = _recover(crashed)
    assert again.sequence == 4
    assert events(crashed) == [1, 2, 3]
    (kept,) = Path(crashed, "quarantine").iterdir()
    assert kept.read_bytes() == whole[-_LAST_BYTES:-3]
    assert is_interrupted or after == 1


@pytest.mark.parametrize("after", range(3))
def test_a_disk_that_can_not_be_read_halts_and_changes_nothing(crashed: str, files: FaultyFiles, after: int) -> None:
    _last(crashed).write_bytes(_last(crashed).read_bytes()[:-3])
    before = _tree(crashed)
    log_id = LogFolder(FILES, crashed).log_id
    files.fail("read", errno.EIO, after=after)
    with pytest.raises((OSError, Unreadable), match="Input/output error"):
        recover(LogFolder(files, crashed, log_id))
    assert _tree(crashed) == before


# Damage


def _middle(crashed: str) -> int:
    """Where the block before the last begins."""
    return read_blocks(crashed)[-2].header.offset


def _assert_loses(directory: str, expected: list[int], kind: str = "corrupt") -> None:
    """The log opens, twice, reads as expected with 0 for what is lost, and its ledger says just that."""
    kept = [path.read_bytes() for path in segments(directory)]
    with closing(Log(directory)) as log:
        assert log.torn is None
        log.commit(line(99), 1)
    Log(directory).close()
    assert events(directory) == [*expected, 99]
    entries = read_ledger(LogFolder(FILES, directory)).entries
    assert sum(entry.lost for entry in entries) == expected.count(0)
    assert {entry.kind for entry in entries} == {kind}
    for entry in entries:
        copy, segment = Path(str(entry.kept_at)).read_bytes(), kept[entry.start.segment - 1]
        assert copy == segment[entry.start.offset : entry.end.offset]


@pytest.mark.parametrize("place", [0, 40, 137, 147, HEADER_BYTES, HEADER_BYTES + 3])
def test_damage_before_a_block_that_proves_the_bytes_durable_loses_that_block_alone(crashed: str, place: int) -> None:
    damage(_last(crashed), _middle(crashed) + place)
    _assert_loses(crashed, [1, 2, 0, 4, 5])


def test_damage_to_the_last_event_is_distinguished_from_a_torn_write_after_a_pause(crashed: str) -> None:
    with closing(Log(crashed)) as log:
        log.commit(line(6), 1)
    event = read_blocks(crashed)[-2]
    damage(_last(crashed), event.header.offset + HEADER_BYTES)
    _assert_loses(crashed, [1, 2, 3, 4, 5, 0])


def test_damage_over_several_blocks_loses_them_and_no_other(crashed: str) -> None:
    with closing(Log(crashed)) as log:
        for number in range(6, 12):
            log.commit(line(number), 1)
    damage(_last(crashed), HEADER_BYTES, bytes(400))
    _assert_loses(crashed, [1, 2, 3, 4, 5, 0, 0, 0, 9, 10, 11])


def test_two_damaged_blocks_apart_are_two_places_in_the_ledger(crashed: str) -> None:
    with closing(Log(crashed)) as log:
        for number in range(6, 10):
            log.commit(line(number), 1)
    for at in (1, 3):
        damage(_last(crashed), HEADER_BYTES + at * (HEADER_BYTES + len(line(6))) + 150)
    _assert_loses(crashed, [1, 2, 3, 4, 5, 6, 0, 8, 0])
    assert len(read_ledger(LogFolder(FILES, crashed)).entries) == 2


def test_a_proof_is_found_wherever_it_stands_in_a_long_tail(tmp_path: Path) -> None:
    for shift in range(-160, 41, 20):  # its header ends before, across and behind the first MiB of the tail
        directory = str(tmp_path / f"shift {shift}")
        with closing(Log(directory)) as log:
            log.commit(b"x" * ((1 << 20) - HEADER_BYTES + shift - 1) + b"\n", 1)
            log.commit(line(2), 1)
        assert read_blocks(directory)[1].header.offset == HEADER_BYTES + (1 << 20) + shift
        damage(_last(directory), HEADER_BYTES)
        with _last(directory).open("r+b") as file:
            file.truncate(HEADER_BYTES + (1 << 20) + shift + HEADER_BYTES)  # nothing but that one header proves it
        with closing(Log(directory)) as log:
            assert [damage.lost for damage in log.damages] == [1]
            assert log.torn is not None
            assert log.end.sequence == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'{"n":3}', b'{"n":33}'), (b'{"n":3}\n', b""), (b'["EVB1"', b' ["EVB1"')],
    ids=["a line edited", "a line cut out", "a byte put in"],
)
def test_a_shifted_segment_is_set_aside_whole_and_its_good_part_goes_on(crashed: str, old: bytes, new: bytes) -> None:
    segment, at = _last(crashed), _middle(crashed)
    whole = segment.read_bytes()
    edited = whole[:at] + whole[at:].replace(old, new, 1)
    segment.write_bytes(edited)
    with closing(Log(crashed)) as log:
        assert [str(damage.kind) for damage in log.damages] == ["shifted"]
        log.commit(line(99), 1)
    assert (Path(crashed) / "quarantine" / segment.name).read_bytes() == edited
    assert segment.read_bytes() == whole[:at]
    assert events(crashed) == [1, 2, 0, 0, 0, 99]


def test_a_block_out_of_the_chain_halts(crashed: str, directory: str) -> None:
    """The last block of a log with the same identity, numbers and sizes, but another history."""
    shutil.copy(f"{crashed}/log.json", directory)
    for path in segments(directory):
        path.unlink()
    clock = Clock()
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        log.commit(lines([1, 2]), 2)
        clock.ms += 60_001
        log.commit(line(7), 1)
        log.commit(_LAST, 2)
        log.commit(line(8), 1)
        foreign = _last(directory).read_bytes()
    mine = _last(crashed).read_bytes()
    _last(crashed).write_bytes(mine[:-_LAST_BYTES] + foreign[len(mine) - _LAST_BYTES :])
    _assert_halts(crashed, "after header")


def test_a_damaged_header_of_the_last_segment_loses_no_event(crashed: str) -> None:
    damage(_last(crashed), 50)
    _assert_loses(crashed, [1, 2, 3, 4, 5])


def test_bytes_that_a_cursor_has_passed_were_durable(crashed: str) -> None:
    _save_cursor(crashed, read_blocks(crashed)[-1].end)
    _last(crashed).write_bytes(_last(crashed).read_bytes()[:-1])
    with closing(Log(crashed)) as log:
        assert [damage.lost for damage in log.damages] == [2]
        assert log.end.sequence == 6
        log.commit(line(6), 1)
    assert events(crashed) == [1, 2, 3, 0, 0, 6]


def test_a_cursor_at_the_end_of_the_whole_blocks_does_not_halt(crashed: str) -> None:
    _save_cursor(crashed, read_blocks(crashed)[-1].start)
    _last(crashed).write_bytes(_last(crashed).read_bytes()[:-1])
    assert _recover(crashed).sequence == 4


def test_a_damaged_cursor_stops_its_own_consumer_alone(crashed: str) -> None:
    _save_cursor(crashed, Position(1, HEADER_BYTES, 1))
    damage(Path(crashed, "cursors/file.json"), 60)
    assert _recover(crashed).sequence == 6
    with pytest.raises(Corrupt, match=r"file\.json: at byte 0: expected a cursor with its CRC"):
        LogFolder(FILES, crashed).cursor("file")


def test_a_missing_segment_halts_until_its_loss_is_in_the_ledger(crashed: str) -> None:
    Log(crashed).close()
    segments(crashed)[1].unlink()
    _assert_halts(crashed, "expected segment 2, found no such file; restore it, or run `wal repair`")
    gap = Damage(Kind.MISSING, Position(2, 0, 3), Position(3, HEADER_BYTES, 6), "no such file")
    wal.damage.append(LogFolder(FILES, crashed), gap)
    Log(crashed).close()
    assert events(crashed) == [1, 2, 0, 0, 0]


def test_segments_that_went_from_the_old_end_do_not_halt(crashed: str) -> None:
    segments(crashed)[0].unlink()
    _save_cursor(crashed, Position(2, HEADER_BYTES, 3))
    assert _recover(crashed).segment == 3


@pytest.mark.parametrize("left", [0, 1])
def test_a_missing_segment_that_a_cursor_knows_halts(crashed: str, left: int) -> None:
    _save_cursor(crashed, Position(2, HEADER_BYTES, 3))
    for path in segments(crashed)[left:]:
        path.unlink()
    _assert_halts(crashed, "expected segment 2, found no such file")


@pytest.mark.parametrize(
    "content", [None, b"", b"{", b"[]", b'{"v":1}', b'{"log_id":"3F9C2A7100112233"}', b'{"log_id":1}']
)
def test_a_lost_identity_is_that_of_the_segments(crashed: str, content: bytes | None) -> None:
    path = Path(crashed, "log.json")
    before = path.read_bytes()
    path.unlink() if content is None else path.write_bytes(content)
    Log(crashed).close()
    assert path.read_bytes() == before
    assert events(crashed) == [1, 2, 3, 4, 5]


def test_the_identity_of_another_log_halts(crashed: str) -> None:
    Path(crashed, "log.json").write_text('{"v":1,"log_id":"0123456789abcdef"}\n')
    _assert_halts(crashed, "expected a segment of log")
