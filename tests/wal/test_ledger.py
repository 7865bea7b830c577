"""The damage ledger: each lost event is in it once, however damage grows, is cut by limits, or is met at once."""

import os
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

import wal.damage
from tests.running import PATIENCE_SECONDS
from tests.wal.logs import FILES, Clock, damage, damages, events, line, read_blocks, read_steps, segments
from wal.damage import Damage, Kind, read_ledger
from wal.files import Files
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position
from wal.log import Log
from wal.reader import Reader
from wal.segment import Block


@pytest.fixture
def blocks(directory: str, clock: Clock) -> list[Block]:
    """Those of a closed log: events 1 to 5, each in a block of its own, and an idle block."""
    with closing(Log(directory, clock=clock)) as log:
        for number in range(1, 6):
            log.commit(line(number), 1)
    return read_blocks(directory)


def _spoil(directory: str, block: Block) -> None:
    damage(segments(directory)[0], block.header.offset + 60)


def _record_all(directory: str) -> None:
    for found in damages(read_steps(directory)):
        wal.damage.append(LogFolder(FILES, directory), found)


def _lost(directory: str) -> list[int]:
    """The sequences in the ledger, sorted."""
    lines = read_ledger(LogFolder(FILES, directory)).entries
    return sorted(sequence for entry in lines for sequence in range(entry.start.sequence, entry.end.sequence))


def test_damage_ends_at_the_limit_of_the_reader(directory: str, blocks: list[Block]) -> None:
    """A shipper's intent ends between two damaged blocks: each is met once."""
    for block in blocks[1:3]:
        _spoil(directory, block)
    log_id, limit = LogFolder(FILES, directory).log_id, blocks[1].end
    for start, end in ((blocks[0].start, limit), (limit, None)):
        with closing(Reader(LogFolder(FILES, directory, log_id), start)) as reader:
            while step := reader.next(end):
                if isinstance(step, Damage):
                    wal.damage.append(LogFolder(FILES, directory), step)
            assert end is None or reader.position == end
    assert _lost(directory) == [2, 3]


@pytest.mark.parametrize("order", [(1, 2), (2, 1), (2, 1, 3), (1, 3, 2), (0, 4, 2)])
def test_damage_that_grows_adds_to_the_ledger_what_is_new(
    directory: str, blocks: list[Block], order: tuple[int, ...]
) -> None:
    for at in order:
        _spoil(directory, blocks[at])
        for _ in range(2):
            _record_all(directory)
        assert _lost(directory) == [number for number, event in enumerate(events(directory), 1) if not event]
    for entry in read_ledger(LogFolder(FILES, directory)).entries:
        copy = Path(str(entry.kept_at)).read_bytes()
        assert copy == segments(directory)[0].read_bytes()[entry.start.offset : entry.end.offset]
    assert len(_lost(directory)) == len(order)


def test_the_loss_of_several_segments_is_accounted_for_once_wherever_a_consumer_was(directory: str) -> None:
    """As `wal repair` does it: the first line of a gap has the events of all of it."""
    os.mkdir(directory)
    end = Position(4, HEADER_BYTES, 9)
    for number, sequence in ((2, 3), (3, 9)):
        wal.damage.append(
            LogFolder(FILES, directory), Damage(Kind.MISSING, Position(number, 0, sequence), end, "no such file")
        )
    wal.damage.append(LogFolder(FILES, directory), Damage(Kind.MISSING, Position(3, 500, 6), end, "no such file"))
    assert _lost(directory) == [3, 4, 5, 6, 7, 8]
    assert len(read_ledger(LogFolder(FILES, directory)).entries) == 2


def test_shippers_that_meet_damage_at_once_all_append_it(directory: str, blocks: list[Block]) -> None:
    class Slow(Files):
        """The first to write the ledger waits for the other, which may be kept from coming."""

        both = threading.Barrier(2)

        def create(self, path: str) -> int:
            if path.endswith("damage.ndjson.tmp"):
                with suppress(threading.BrokenBarrierError):
                    self.both.wait(0.2)
            return super().create(path)

    for at in (1, 3):
        _spoil(directory, blocks[at])
    files = Slow()
    threads = [
        threading.Thread(target=wal.damage.append, args=(LogFolder(files, directory), found))
        for found in damages(read_steps(directory))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert _lost(directory) == [2, 4]


def test_an_append_leaves_the_lines_before_it_as_they_are(directory: str, blocks: list[Block]) -> None:
    ledger = Path(directory, "damage.ndjson")
    known = (
        b'{"v":1, "kind":"missing","seg":9,"from":{"off":0,"seq":90},"to":{"off":148,"seq":95},"lost":5,"by":"me"}\n'
    )
    ledger.write_bytes(known)
    _spoil(directory, blocks[1])
    for found in damages(read_steps(directory)):
        wal.damage.append(LogFolder(FILES, directory), found)
    assert ledger.read_bytes().startswith(known)
    assert _lost(directory) == [2, *range(90, 95)]
