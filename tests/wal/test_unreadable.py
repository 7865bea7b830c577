"""What is no damage must not be called damage: bad sectors, segments of another log, and what a start found before."""

import errno
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from tests.wal.logs import FILES, Clock, damage, events, line, read_blocks, segments
from wal.damage import read_ledger
from wal.errors import Corrupt, ForeignLog, Unreadable
from wal.files import Files
from wal.folder import LogFolder
from wal.format import HEADER_BYTES
from wal.log import Log
from wal.reader import Reader, read_all
from wal.recovery import recover
from wal.tools.select import Selection


class BadSector(Files):
    """A disk that reads up to one byte and no further, as the kernel does it: first less than asked for, then EIO."""

    def __init__(self, bad: int) -> None:
        self._bad = bad

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        if offset <= self._bad < offset + length:
            if offset == self._bad:
                raise OSError(errno.EIO, "Input/output error")
            length = self._bad - offset
        return super().read(descriptor, length, offset)


@pytest.fixture
def log_of_two(directory: str, clock: Clock) -> str:
    """Events 1 to 3 in the first segment, 4 to 6 in the second, which is the last."""
    with closing(Log(directory, clock=clock, monotonic=clock.monotonic)) as log:
        for number in range(1, 7):
            log.commit(line(number), 1)
            clock.ms += 60_000 * (number == 3)
    return directory


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("inside", [3, HEADER_BYTES + 2])
def test_a_bad_sector_is_unreadable_and_no_damage(log_of_two: str, at: int, inside: int) -> None:
    block = [block for block in read_blocks(log_of_two) if block.header.segment == at + 1][1]
    folder = LogFolder(FILES, log_of_two)
    bad = LogFolder(BadSector(block.header.offset + inside), log_of_two, folder.log_id)
    with (
        closing(Reader(bad, folder.segments()[at].start)) as reader,
        pytest.raises(Unreadable, match="Input/output"),
    ):
        list(read_all(reader))


def test_a_start_on_a_bad_sector_cuts_nothing_off(log_of_two: str) -> None:
    last = segments(log_of_two)[-1]
    before, block = last.read_bytes(), read_blocks(log_of_two)[-2]
    with pytest.raises(Unreadable):
        recover(LogFolder(BadSector(block.header.offset + 3), log_of_two, LogFolder(FILES, log_of_two).log_id))
    assert last.read_bytes() == before
    assert read_ledger(LogFolder(FILES, log_of_two)).entries == ()


def test_a_segment_of_another_log_hides_nothing_of_the_one_before_it(log_of_two: str, tmp_path: Path) -> None:
    with closing(Log(str(tmp_path / "other"))) as other:
        other.commit(line(9), 1)
    shutil.copy(segments(other.folder.path)[0], segments(log_of_two)[1])
    damage(segments(log_of_two)[0], HEADER_BYTES + HEADER_BYTES + 2)
    reader = Reader(LogFolder(FILES, log_of_two), LogFolder(FILES, log_of_two).segments()[0].start)
    with closing(reader), pytest.raises(ForeignLog):
        list(read_all(reader))
    assert reader.position.sequence == 4


def test_a_lost_identity_is_not_taken_from_segments_that_disagree(log_of_two: str, tmp_path: Path) -> None:
    with closing(Log(str(tmp_path / "other"))) as other:
        other.commit(line(9), 1)
    shutil.copy(segments(other.folder.path)[0], segments(log_of_two)[1])
    Path(log_of_two, "log.json").unlink()
    with pytest.raises(Corrupt, match=r"log\.json"):
        Log(log_of_two)
    assert not Path(log_of_two, "log.json").exists()


def test_what_one_start_found_damaged_the_next_does_not_call_torn(directory: str) -> None:
    """The header that proved it may be gone by then: it was that of the torn write, which was cut off."""
    with closing(Log(directory)) as log:
        for number in (1, 2, 3):
            log.commit(line(number), 1)
    blocks, last = read_blocks(directory), segments(directory)[-1]
    with last.open("r+b") as file:
        file.truncate(blocks[2].header.end - 3)
    damage(last, blocks[1].header.offset + HEADER_BYTES + 2)
    once = recover(LogFolder(FILES, directory))
    content = last.read_bytes()
    again = recover(LogFolder(FILES, directory))
    assert again == once._replace(torn=None)
    assert last.read_bytes() == content
    Log(directory).close()
    assert events(directory) == [1, 0]


def test_a_carriage_return_between_members_ends_no_line(directory: str) -> None:
    with closing(Log(directory)) as log:
        log.commit(b'{"n":1,\r"x":2}\n{"n":2}\n', 2)
    assert list(Selection().lines(read_blocks(directory)[0])) == [b'{"n":1,\r"x":2}\n', b'{"n":2}\n']
