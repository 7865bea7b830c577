"""Damage to a log: what each spoiled byte costs, what the ledger says of it, and a recovery that is cut short."""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

import wal.damage
from tests.wal.faulty_files import FaultyFiles
from tests.wal.logs import (
    FILES,
    Clock,
    crash_image,
    damage,
    damages,
    events,
    line,
    lines,
    numbers,
    read_blocks,
    read_steps,
    segments,
)
from wal.cursor import Cursor
from wal.damage import Damage, Kind, read_ledger
from wal.errors import Broken, Corrupt
from wal.files import Files
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position
from wal.identity import ensure_log_id
from wal.log import Log
from wal.recovery import Recovered, recover
from wal.segment import Block

_SMALL = 500
"""Bytes of a segment that holds two or three of these blocks."""
_BLOCK = HEADER_BYTES + len(line(1))


class _Quick(Files):
    """A disk that says that it has synced, for logs that no power cut will meet."""

    def sync(self, descriptor: int) -> None: ...

    def sync_all(self, descriptor: int) -> None: ...

    def sync_names(self, descriptor: int) -> None: ...


class _PowerCut(Exception):
    """Ends a recovery in the middle."""


class _Dying(_Quick):
    """A disk whose power goes at one of the calls that change something, before that call."""

    def __init__(self, left: int) -> None:
        self.left = left

    def _spend(self) -> None:
        if self.left == 0:
            raise _PowerCut
        self.left -= 1

    def create(self, path: str) -> int:
        self._spend()
        return super().create(path)

    def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
        self._spend()
        return super().write(descriptor, buffers)

    def make_directory(self, path: str) -> None:
        self._spend()
        super().make_directory(path)

    def truncate(self, descriptor: int, length: int) -> None:
        self._spend()
        super().truncate(descriptor, length)

    def rename(self, source: str, target: str) -> None:
        self._spend()
        super().rename(source, target)

    def link(self, source: str, target: str) -> None:
        self._spend()
        super().link(source, target)

    def unlink(self, path: str) -> None:
        self._spend()
        super().unlink(path)


@pytest.fixture
def sealed(directory: str, clock: Clock) -> str:
    """A log of several segments that was closed: blocks of 2, 1, 3, 2, 1 and 1 events, and an idle block at the end."""
    with closing(Log(directory, clock=clock, segment_bytes=_SMALL)) as log:
        first = 1
        for count in (2, 1, 3, 2, 1, 1):
            log.commit(lines(range(first, first + count)), count)
            first += count
    assert len(segments(directory)) == 3
    return directory


@pytest.fixture
def single(directory: str, clock: Clock) -> str:
    """What a kill leaves of a log with events 1 to 6 in one segment, each in a block of its own."""
    with closing(Log(directory, clock=clock)) as log:
        for number in range(1, 7):
            log.commit(line(number), 1)
        return crash_image(directory)


def _block(at: int) -> int:
    """Where a block of `single` begins."""
    return HEADER_BYTES + at * _BLOCK


def _lost(directory: str) -> list[tuple[int, int]]:
    """The ranges of lost events that the ledger has: first, and the one behind the last."""
    entries = read_ledger(LogFolder(FILES, directory)).entries
    return sorted((entry.start.sequence, entry.end.sequence) for entry in entries if entry.lost)


def _tree(directory: str) -> dict[str, bytes]:
    """Every file and its bytes."""
    return {str(path): path.read_bytes() for path in Path(directory).rglob("*") if path.is_file()}


def _restore(image: str, directory: str) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(image, directory, symlinks=True)


# Every single byte


def _hit(block: Block, number: int, offset: int) -> bool:
    return block.header.segment == number and block.header.offset <= offset < block.header.end


def test_the_ledger_says_of_any_flipped_byte_of_a_sealed_segment_what_it_cost(sealed: str) -> None:
    blocks = read_blocks(sealed)
    for number, segment in enumerate(segments(sealed)[:-1], 1):
        whole = segment.read_bytes()
        for offset in range(len(whole)):
            damage(segment, offset)
            (found,) = damages(read_steps(sealed))
            wal.damage.append(LogFolder(_Quick(), sealed), found)
            hit = [block for block in blocks if _hit(block, number, offset)]
            assert _lost(sealed) == [(block.start.sequence, block.end.sequence) for block in hit], (number, offset)
            (entry,) = read_ledger(LogFolder(FILES, sealed)).entries
            assert Path(str(entry.kept_at)).read_bytes() == segment.read_bytes()[found.start.offset : found.end.offset]
            segment.write_bytes(whole)
            os.unlink(f"{sealed}/damage.ndjson")


def test_a_start_behind_any_flipped_byte_of_an_idle_log_loses_its_block_alone_and_says_so(
    sealed: str, tmp_path: Path
) -> None:
    blocks, image, number = read_blocks(sealed), str(tmp_path / "image"), len(segments(sealed))
    idle = blocks[-1]
    assert (idle.header.records, idle.header.segment) == (0, number)
    for offset in range(idle.header.end):
        _restore(sealed, image)
        damage(segments(image)[-1], offset)
        hit = [block for block in blocks if _hit(block, number, offset)]
        with closing(Log(image, files=_Quick())) as log:
            assert (log.torn is not None) == (hit == [idle]), "only the last block is not proven by another"
            log.commit(line(99), 1)
        kept = [0 if block in hit else event for block in blocks for event in numbers([block])]
        assert events(image) == [*kept, 99], offset
        assert _lost(image) == [(block.start.sequence, block.end.sequence) for block in hit if block != idle], offset


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 5), (2, 4), (1, 2), (4, 5)])
def test_two_damaged_blocks_cost_both_and_no_other(sealed: str, first: int, second: int) -> None:
    blocks = read_blocks(sealed)
    hit = [blocks[first], blocks[second]]
    for block in hit:
        damage(segments(sealed)[block.header.segment - 1], block.header.offset + HEADER_BYTES)
    Log(sealed).close()
    found = damages(read_steps(sealed))
    assert [(damage.start, damage.end.sequence) for damage in found] == [
        (damage.start, damage.end.sequence) for damage in hit
    ]
    assert events(sealed) == [0 if block in hit else event for block in blocks for event in numbers([block])]


# The ledger


def test_damage_that_is_met_again_is_in_the_ledger_once(single: str) -> None:
    damage(segments(single)[0], _block(2) + HEADER_BYTES)
    (found,) = damages(read_steps(single))
    assert str(found) == (
        f"segment 1 from byte {_block(2)} on is corrupt: events 3 to 3 are lost (a payload with another CRC)"
    )
    wal.damage.append(LogFolder(FILES, single), found)
    once = _tree(single)
    wal.damage.append(LogFolder(FILES, single), found._replace(cause="something else"))
    with closing(Log(single)) as log:
        assert log.damages == [found]
    assert {path: content for path, content in _tree(single).items() if path in once and "current" not in path} == {
        path: content for path, content in once.items() if "current" not in path
    }
    assert len(read_ledger(LogFolder(FILES, single)).entries) == 1


def test_the_bytes_are_kept_before_the_ledger_says_so(single: str, files: FaultyFiles) -> None:
    damage(segments(single)[0], _block(2) + HEADER_BYTES)
    (found,) = damages(read_steps(single))
    os.mkdir(f"{single}/quarantine")
    wal.damage.append(LogFolder(files, single), found)
    assert files.calls == [
        *("sync_directory", "create", "write", "sync_all", "sync_directory"),  # of the quarantine
        *("create", "write", "sync_all", "rename", "sync_directory"),  # of the ledger
    ]


def test_no_sequence_of_the_ledger_is_given_out_again(single: str) -> None:
    """As when a start recorded its finding and crashed before its new segment was there."""
    end = read_blocks(single)[-1].end
    gone = Damage(Kind.SHIFTED, end, end._replace(sequence=end.sequence + 10), "edited")
    wal.damage.append(LogFolder(FILES, single), gone)
    with closing(Log(single)) as log:
        assert log.end.sequence == end.sequence + 10
        log.commit(line(99), 1)
    assert events(single) == [1, 2, 3, 4, 5, 6, *[0] * 10, 99]


@pytest.mark.parametrize("content", [b"{", b"\xff\n", b'{"v":1}\n{"v"\n'])
def test_a_broken_ledger_halts_and_names_the_next_step(single: str, content: bytes) -> None:
    Path(single, "damage.ndjson").write_bytes(content)
    with pytest.raises(Broken, match=r"damage\.ndjson: .* move it aside, then `wal verify`"):
        Log(single)
    assert Path(single, "damage.ndjson").read_bytes() == content
    os.rename(f"{single}/damage.ndjson", f"{single}/damage.old")
    Log(single).close()


# Shifted


def test_bytes_put_in_or_cut_out_anywhere_cost_no_block_before_them_and_no_byte_of_the_original(single: str) -> None:
    """Of the segment there is either the edited original, whole, in quarantine, or a part here and the rest there."""
    (segment,) = segments(single)
    whole, image = segment.read_bytes(), f"{single}-edited"
    edits: list[Callable[[int], bytes]] = [
        lambda at: whole[:at] + b" " + whole[at:],
        lambda at: whole[:at] + b"\n" * 200 + whole[at:],
        lambda at: whole[:at] + whole[at + 1 :],
        lambda at: whole[:at] + whole[at + _BLOCK :],
    ]
    shifted = 0
    for edit in edits:
        for at in range(HEADER_BYTES, len(whole) - 1, 17):
            edited = edit(at)
            _restore(single, image)
            segments(image)[0].write_bytes(edited)
            with closing(Log(image, files=_Quick())) as log:
                kinds, next_sequence = [damage.kind for damage in log.damages], log.end.sequence
                log.commit(line(99), 1)
            left, quarantine = segments(image)[0].read_bytes(), Path(image, "quarantine")
            before = (at - HEADER_BYTES) // _BLOCK
            assert events(image)[:before] == list(range(1, before + 1)), at
            assert events(image)[-1] == 99
            assert len(events(image)) == next_sequence
            if Kind.SHIFTED in kinds:
                shifted += 1
                assert (quarantine / segment.name).read_bytes() == edited, at
                assert edited.startswith(left)
                assert next_sequence == 7, "no sequence that a header behind the place names is used again"
            else:
                torn = quarantine / f"{segment.name}.{len(left)}"
                assert left + (torn.read_bytes() if torn.exists() else b"") == edited, at
    assert shifted > 100


def test_a_segment_that_was_edited_before_what_a_cursor_has_passed_is_set_aside_too(single: str) -> None:
    (segment,) = segments(single)
    blocks, whole = read_blocks(single), segment.read_bytes()
    LogFolder(FILES, single).save_cursor("file", Cursor(blocks[3].end))
    edited = whole.replace(line(2), b'{"n":2222}\n')
    segment.write_bytes(edited)
    with closing(Log(single)) as log:
        assert log.damages[-1].kind is Kind.SHIFTED
        assert log.end.sequence == 7
        log.commit(line(99), 1)
    assert Path(single, "quarantine", segment.name).read_bytes() == edited
    assert events(single) == [1, *[0] * 5, 99]
    assert sum(entry.lost for entry in read_ledger(LogFolder(FILES, single)).entries) == 5


# A recovery that is cut short


def _tear(segment: Path) -> None:
    segment.write_bytes(segment.read_bytes()[:-3])


def _corrupt(segment: Path) -> None:
    for at in (1, 3):
        damage(segment, _block(at) + HEADER_BYTES)


def _corrupt_and_tear(segment: Path) -> None:
    _corrupt(segment)
    _tear(segment)


def _shift(segment: Path) -> None:
    segment.write_bytes(segment.read_bytes().replace(line(3), b""))


def _corrupt_and_shift(segment: Path) -> None:
    damage(segment, _block(0) + HEADER_BYTES)
    _shift(segment)


def _lose_identity(segment: Path) -> None:
    segment.with_name("log.json").unlink()
    _tear(segment)


def _recover(files: Files, directory: str) -> Recovered:
    return recover(LogFolder(files, directory, ensure_log_id(LogFolder(files, directory))))


@pytest.mark.parametrize("spoil", [_tear, _corrupt, _corrupt_and_tear, _shift, _corrupt_and_shift, _lose_identity])
def test_a_recovery_cut_short_at_any_of_its_calls_comes_to_the_same_end(
    single: str, spoil: Callable[[Path], None]
) -> None:
    spoiled = f"{single}-spoiled"
    shutil.copytree(single, spoiled, symlinks=True)
    spoil(segments(spoiled)[0])
    _restore(spoiled, single)
    expected = _recover(_Quick(), single)
    tree, known = _tree(single), events(single)
    calls = 0
    while True:
        _restore(spoiled, single)
        try:
            _recover(_Dying(calls), single)
            break
        except _PowerCut:
            calls += 1
        again = _recover(_Quick(), single)
        assert again[:4] == expected[:4], calls
        assert _tree(single) == tree, calls
        assert events(single) == known
    assert calls > 2
    assert _recover(_Quick(), single)[:4] == expected[:4]
    assert _tree(single) == tree


# The identity


def test_without_a_segment_a_lost_identity_is_a_new_one(directory: str) -> None:
    os.mkdir(directory)
    Path(directory, "log.json").write_bytes(b"{")
    with closing(Log(directory)) as log:
        log.commit(line(1), 1)
    assert LogFolder(FILES, directory).log_id == log.log_id
    assert events(directory) == [1]


def test_a_lost_identity_is_restored_from_the_headers_that_are_whole(sealed: str) -> None:
    log_id = LogFolder(FILES, sealed).log_id
    os.unlink(f"{sealed}/log.json")
    for segment in segments(sealed)[1:]:
        damage(segment, 30)
    assert ensure_log_id(LogFolder(FILES, sealed)) == log_id
    os.unlink(f"{sealed}/log.json")
    damage(segments(sealed)[0], 30)
    before = _tree(sealed)
    with pytest.raises(Corrupt, match=r"log\.json: .* expected the log's id, found none, and no single id in"):
        Log(sealed)
    assert _tree(sealed) == before


# What only a person can decide


def test_a_gap_of_segments_is_one_loss_wherever_reading_begins_before_it(sealed: str) -> None:
    blocks = read_blocks(sealed)
    gone = [block for block in blocks if block.header.segment == 2]
    segments(sealed)[1].unlink()
    start, end = gone[0].start._replace(offset=0), Position(3, HEADER_BYTES, gone[-1].end.sequence)
    wal.damage.append(LogFolder(FILES, sealed), Damage(Kind.MISSING, start, end, "no such file"))
    for block in blocks:
        if block.header.segment == 1:
            (found,) = damages(read_steps(sealed, block.start))
            assert (found.kind, found.start, found.end) == (Kind.MISSING, start, end)
    for block in gone:  # a consumer that had come into it
        (found,) = damages(read_steps(sealed, block.start))
        assert (found.kind, found.start, found.end) == (Kind.MISSING, block.start, end)
    (entry,) = read_ledger(LogFolder(FILES, sealed)).entries
    assert (entry.lost, entry.kept_at) == (len(numbers(gone)), None)


def test_a_segment_of_another_log_halts_reading_where_it_is(sealed: str, tmp_path: Path, clock: Clock) -> None:
    other = str(tmp_path / "other")
    with closing(Log(other, clock=clock, segment_bytes=_SMALL)) as log:
        for first, count in ((1, 2), (3, 1), (4, 3), (7, 2)):
            log.commit(lines(range(first, first + count)), count)
    theirs, mine = segments(other)[1], segments(sealed)[1]
    assert theirs.name == mine.name
    shutil.copy(theirs, mine)
    with pytest.raises(Broken, match=f"{mine}: at byte 0: expected a segment of log .*, found one of log"):
        events(sealed)
