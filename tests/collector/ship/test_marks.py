"""What a sink says that it has, and whether the log is the one that it has it from."""

import asyncio
import shutil
from pathlib import Path

import pytest

from collector.errors import SinkError
from collector.ship.batch import Batch
from collector.ship.mark import Mark, Resumption
from collector.ship.shipper import Shipper
from tests.collector.live_log import live_log
from tests.collector.ship.test_shipper import ENDLESS, NAME, FakeDeadLetters, Recording, _append, _drain, _numbers
from wal.committer import Committer
from wal.cursor import Cursor
from wal.errors import Broken


class Marking(Recording):
    """A sink that keeps a mark, as those of files do."""

    def __init__(self, mark: Mark | None = None) -> None:
        self._faults: list[BaseException] = []
        super().__init__(before=self._faults)
        self.mark = mark

    def fail_next(self, fault: Exception) -> None:
        """Let the next attempt fail."""
        self._faults.append(fault)

    async def open(self, log_id: str, sequence: int) -> Resumption:
        await super().open(log_id, sequence)
        return Resumption(max(sequence, self.mark.next if self.mark else 0), self.mark)

    async def deliver(self, batch: Batch) -> None:
        await super().deliver(batch)
        self.mark = Mark(batch.last + 1, batch.chain, "the table of marks")


def _shipper(sink: Recording, committer: Committer, *, flush_bytes: int = 1) -> Shipper:
    return Shipper(NAME, sink, committer, FakeDeadLetters(), flush_bytes=flush_bytes, flush_seconds=ENDLESS)


def _ship(folder: Path, sink: Marking, first: int, last: int, *, flush_bytes: int = 1) -> None:
    """Append events, and deliver what is owed."""

    async def run() -> None:
        async with live_log(folder) as committer:
            await _append(committer, first, last)
            await _drain(_shipper(sink, committer, flush_bytes=flush_bytes), committer)

    asyncio.run(run())


def _restore(log: Path, backup: Path) -> None:
    shutil.rmtree(log)
    shutil.copytree(backup, log, symlinks=True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def sink(log: Path, tmp_path: Path) -> Marking:
    """It has events 1 to 5. Of the log there is a backup from when it had three; both are at `log` and `backup`."""
    sink = Marking()
    _ship(log, sink, 1, 3)
    shutil.copytree(log, tmp_path / "backup", symlinks=True)
    _ship(log, sink, 4, 5)
    return sink


@pytest.mark.parametrize("last", [5, 6, 9])
def test_a_restored_log_with_other_events_stops_before_it_delivers(
    log: Path, tmp_path: Path, sink: Marking, last: int
) -> None:
    _restore(log, tmp_path / "backup")
    message = (
        r"expected event 5 in a block with the CRC [0-9a-f]{8}, which the sink has, found the CRC .*: was it restored"
    )
    with pytest.raises(Broken, match=message) as caught:
        _ship(log, sink, 14, 10 + last)
    assert str(caught.value).endswith("move the mark away: the table of marks")
    assert _numbers(sink.arrived) == [1, 2, 3, 4, 5]


def test_a_restored_log_that_lacks_what_the_sink_has_stops(log: Path, tmp_path: Path, sink: Marking) -> None:
    _restore(log, tmp_path / "backup")
    with pytest.raises(
        Broken, match=r"expected what the sink has, the events before 6, found none from 5 on; .* restored"
    ):
        _ship(log, sink, 14, 14)
    assert _numbers(sink.arrived) == [1, 2, 3, 4, 5]


def test_a_restored_log_whose_cursor_is_newer_than_it_stops(log: Path, tmp_path: Path, sink: Marking) -> None:
    cursor = (log / f"cursors/{NAME}.json").read_bytes()
    _restore(log, tmp_path / "backup")
    _ship(log, Marking(), 14, 19)  # to nowhere that anybody would look
    (log / f"cursors/{NAME}.json").write_bytes(cursor)
    with pytest.raises(Broken, match="was it restored"):
        _ship(log, sink, 20, 20)


def test_the_mark_is_compared_also_where_it_is_where_the_cursor_is(log: Path, sink: Marking) -> None:
    assert sink.mark
    sink.mark = sink.mark._replace(chain="00000000")
    with pytest.raises(Broken, match="was it restored"):
        _ship(log, sink, 6, 6)
    assert _numbers(sink.arrived) == [1, 2, 3, 4, 5]


def test_a_mark_that_is_older_than_the_cursor_is_compared_and_told_and_the_cursor_counts(
    log: Path, sink: Marking, caplog: pytest.LogCaptureFixture
) -> None:
    older = Mark(3, sink.arrived[1].chain, "the table of marks")
    sink.mark = older
    _ship(log, sink, 6, 6)
    assert _numbers(sink.arrived) == [1, 2, 3, 4, 5, 6]
    assert [message.partition(", which were")[0] for message in caplog.messages] == [
        f"sink {NAME}: by its own mark it lacks the events from 3 to 5 of {log}"
    ]
    sink.mark = older._replace(chain="00000000")
    with pytest.raises(Broken, match=r"expected event 2 in a block with the CRC 00000000"):
        _ship(log, sink, 7, 7)


def test_a_sink_that_knows_no_chain_goes_on_as_its_sequence_says(log: Path, sink: Marking) -> None:
    assert sink.mark
    sink.mark = Mark(5, "", "the table of marks")
    _ship(log, sink, 6, 6)
    assert _numbers(sink.arrived) == [1, 2, 3, 4, 5, 6]


def test_a_mark_in_the_middle_of_a_block_is_compared_with_that_block(tmp_path: Path) -> None:
    async def ship(sink: Marking, events: int) -> None:
        async with live_log(tmp_path) as committer:
            if events:
                await committer.append(b"".join(b'{"n":%d}\n' % (100_000 + n) for n in range(1, events + 1)), events)
            await _drain(_shipper(sink, committer), committer)

    whole = Marking()
    asyncio.run(ship(whole, 8))
    assert whole.mark
    (tmp_path / f"cursors/{NAME}.json").unlink()
    rest = Marking(whole.mark._replace(next=4))
    asyncio.run(ship(rest, 0))
    assert _numbers(rest.arrived) == [4, 5, 6, 7, 8]


def test_where_retention_has_dropped_the_block_of_the_mark_nothing_can_be_compared(tmp_path: Path) -> None:
    async def ship() -> Marking:
        sink = Marking(Mark(3, "00000000", "the table of marks"))
        async with live_log(tmp_path, segment_bytes=1) as committer:
            await _append(committer, 1, 6)
            log = committer.log
            log.folder.save_cursor(NAME, Cursor(log.folder.segments()[4].start))
            for name in log.folder.segments()[:4]:
                log.folder.files.unlink(f"{log.folder.path}/{name}")
            await _drain(_shipper(sink, committer), committer)
        return sink

    assert _numbers(asyncio.run(ship()).arrived) == [5, 6]


def test_a_sink_that_another_copy_of_the_log_delivers_to_stops_while_it_is_shipped_to(tmp_path: Path) -> None:
    async def ship() -> Marking:
        sink = Marking()
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 2)
            task = asyncio.create_task(_shipper(sink, committer).run())
            await sink.holds(2)
            sink.on_attempt = lambda _: setattr(sink, "mark", Mark(4, "00000000", "the table of marks"))
            sink.fail_next(SinkError("the answer was lost"))
            await _append(committer, 3, 4)
            with pytest.raises(Broken, match="was it restored from a backup, or copied"):
                await task
        return sink

    assert _numbers(asyncio.run(ship()).arrived) == [1, 2]
