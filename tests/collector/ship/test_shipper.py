"""The shipper: every event once and in order, whatever crashes and whatever the sink does."""

import asyncio
import errno
import json
import random
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collector.errors import SinkError
from collector.ship.batch import Batch, Record
from collector.ship.mark import Resumption
from collector.ship.shipper import Shipper
from tests.collector.live_log import live_log
from wal.committer import Committer
from wal.cursor import Cursor, Intent
from wal.damage import Kind, read_ledger
from wal.errors import Broken
from wal.files import Files
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, Position

NAME = "recording"
ENDLESS = 86_400.0
PATIENCE_SECONDS = 60
LINE_BYTES = len(b'{"n":100000}\n')


class PowerCut(BaseException):
    """Ends a run in the middle, as a crash does."""


class Recording:
    """A sink that keeps every batch it is offered, and fails as it is told."""

    def __init__(self, *, before: list[BaseException] | None = None, after: list[BaseException] | None = None) -> None:
        """The exceptions that its next attempts raise, before or after the batch has arrived."""
        self.attempts: list[Batch] = []
        self.arrived: list[Batch] = []
        self.opened = 0
        self.closed = 0
        self.fail_open: list[BaseException] = []
        self.on_attempt: Callable[[Batch], None] = lambda _: None
        self._before = [] if before is None else before
        self._after = after or []
        self._changed = asyncio.Condition()

    async def open(self, log_id: str, sequence: int) -> Resumption:
        if self.fail_open:
            raise self.fail_open.pop()
        self.opened += 1
        return Resumption(sequence)

    async def deliver(self, batch: Batch) -> None:
        self.attempts.append(batch)
        self.on_attempt(batch)
        if self._before:
            raise self._before.pop()
        self.arrived.append(batch)
        async with self._changed:
            self._changed.notify_all()
        if self._after:
            raise self._after.pop()

    async def close(self) -> None:
        self.closed += 1

    async def holds(self, events: int) -> None:
        """Return once it has this many events, each counted once."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(_numbers(self.arrived)) >= events)


class FakeDeadLetters:
    """Remembers each dead letter."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, int, str]] = []
        self.faults: list[BaseException] = []

    async def put(self, sink: str, event: Record, reason: str, *, maybe_again: bool) -> None:
        if self.faults:
            raise self.faults.pop()
        self.letters.append((sink, event.sequence, reason))


def _numbers(batches: list[Batch]) -> list[int]:
    """The events of these batches, where a token that is there already brings nothing new."""
    by_token = {batch.token: batch for batch in batches}
    payloads = [part.payload for batch in by_token.values() for part in batch.parts]
    return [json.loads(line)["n"] - 100_000 for line in b"".join(payloads).splitlines()]


async def _append(committer: Committer, first: int, last: int) -> None:
    """Events with these numbers, each committed as a block of its own; all lines have LINE_BYTES."""
    for number in range(first, last + 1):
        await committer.append(b'{"n":%d}\n' % (100_000 + number))


def _shipper(
    sink: Recording, committer: Committer, *, flush_bytes: int = 1, flush_seconds: float = ENDLESS, name: str = NAME
) -> Shipper:
    return Shipper(name, sink, committer, FakeDeadLetters(), flush_bytes=flush_bytes, flush_seconds=flush_seconds)


@asynccontextmanager
async def _running(shipper: Shipper) -> AsyncIterator[None]:
    """The shipper at work; cancelled at the end, as a stop that is out of patience does."""
    task = asyncio.create_task(shipper.run())
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _drain(shipper: Shipper, committer: Committer) -> None:
    """Stop as the collector does: no more commits, and then all that is there goes out."""
    await committer.close()
    shipper.drain()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await shipper.run()


def _cursor(committer: Committer, name: str = NAME) -> Cursor:
    log = committer.log
    cursor = log.folder.cursor(name)
    assert cursor is not None
    return cursor


@pytest.mark.parametrize("segment_bytes", [1, 1000, 64 << 20])
@pytest.mark.parametrize("flush_bytes", [1, 10 * LINE_BYTES, 1 << 20])
def test_everything_arrives_once_and_in_the_order_of_the_log(
    tmp_path: Path, segment_bytes: int, flush_bytes: int
) -> None:
    async def ship() -> Recording:
        sink = Recording()
        async with live_log(tmp_path, segment_bytes=segment_bytes) as committer:
            await _append(committer, 1, 15)
            shipper = _shipper(sink, committer, flush_bytes=flush_bytes, flush_seconds=0.01)
            async with _running(shipper):
                await _append(committer, 16, 30)
                await asyncio.gather(*(committer.append(b'{"n":%d}\n' % (100_000 + n)) for n in range(31, 61)))
                await sink.holds(60)
        return sink

    sink = asyncio.run(ship())
    assert _numbers(sink.arrived) == list(range(1, 61))
    assert sink.attempts == sink.arrived
    sequences = [n for batch in sink.arrived for part in batch.parts for n in range(part.first, part.last + 1)]
    assert sequences == list(range(1, 61))


def test_a_batch_is_cut_as_soon_as_enough_bytes_wait(tmp_path: Path) -> None:
    async def ship() -> list[list[int]]:
        sink = Recording()
        async with live_log(tmp_path) as committer:
            shipper = _shipper(sink, committer, flush_bytes=2 * LINE_BYTES + 1)
            async with _running(shipper):
                await _append(committer, 1, 3)
                await sink.holds(3)
                await _append(committer, 4, 7)
                await sink.holds(6)
        return [_numbers([batch]) for batch in sink.arrived]

    assert asyncio.run(ship()) == [[1, 2, 3], [4, 5, 6]]


def test_a_batch_is_cut_when_its_oldest_event_has_waited_long_enough(tmp_path: Path) -> None:
    async def ship() -> list[int]:
        sink = Recording()
        async with live_log(tmp_path) as committer:
            shipper = _shipper(sink, committer, flush_bytes=1 << 30, flush_seconds=0.01)
            async with _running(shipper):
                await _append(committer, 1, 1)
                await sink.holds(1)
                await _append(committer, 2, 2)
                await sink.holds(2)
        return _numbers(sink.arrived)

    assert asyncio.run(ship()) == [1, 2]


def test_events_that_are_not_due_are_shipped_together_by_a_drain(tmp_path: Path) -> None:
    async def ship() -> list[list[int]]:
        sink = Recording()
        async with live_log(tmp_path) as committer:
            shipper = _shipper(sink, committer, flush_bytes=1 << 30)
            running = asyncio.create_task(shipper.run())
            await _append(committer, 1, 5)
            await committer.close()
            shipper.drain()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await running
        return [_numbers([batch]) for batch in sink.arrived]

    assert asyncio.run(ship()) == [[1, 2, 3, 4, 5]]


def test_a_block_is_never_divided(tmp_path: Path) -> None:
    async def ship() -> list[Batch]:
        sink = Recording()
        async with live_log(tmp_path) as committer:
            await committer.append(b"".join(b'{"n":%d}\n' % (100_000 + n) for n in range(1, 101)), 100)
            await _append(committer, 101, 101)
            await _drain(_shipper(sink, committer, flush_bytes=1), committer)
        return sink.arrived

    first, second = asyncio.run(ship())
    assert (_numbers([first]), _numbers([second])) == (list(range(1, 101)), [101])
    assert [(part.first, part.last) for part in first.parts + second.parts] == [(1, 100), (101, 101)]


def test_a_drain_ships_everything_in_order_and_ends(tmp_path: Path) -> None:
    async def ship() -> tuple[Recording, Cursor]:
        sink = Recording()
        async with live_log(tmp_path, segment_bytes=500) as committer:
            await _append(committer, 1, 50)
            await _drain(_shipper(sink, committer, flush_bytes=7 * LINE_BYTES), committer)
            return sink, _cursor(committer)

    sink, cursor = asyncio.run(ship())
    assert _numbers(sink.arrived) == list(range(1, 51))
    assert (cursor.acked.sequence, cursor.intent) == (51, None)
    assert (sink.opened, sink.closed) == (1, 1)


def test_a_drain_of_an_idle_shipper_ends_and_delivers_nothing(tmp_path: Path) -> None:
    async def ship() -> Recording:
        sink = Recording()
        async with live_log(tmp_path) as committer:
            shipper = _shipper(sink, committer)
            running = asyncio.create_task(shipper.run())
            for _ in range(10):
                await asyncio.sleep(0)
            await committer.close()
            shipper.drain()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await running
        return sink

    sink = asyncio.run(ship())
    assert (sink.attempts, sink.closed) == ([], 1)


def test_an_idle_shipper_wakes_for_every_new_event(tmp_path: Path) -> None:
    async def ship() -> list[int]:
        sink = Recording()
        async with live_log(tmp_path, segment_bytes=2000) as committer:
            shipper = _shipper(sink, committer)
            async with _running(shipper):
                for number in range(1, 101):
                    await _append(committer, number, number)
                    await sink.holds(number)
        return _numbers(sink.arrived)

    assert asyncio.run(ship()) == list(range(1, 101))


def test_the_intent_is_durable_before_each_attempt_and_gone_behind_it(tmp_path: Path) -> None:
    async def ship() -> None:
        sink = Recording(before=[SinkError("not yet")])
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 3)
            seen = []

            def look(batch: Batch) -> None:
                acked, intent = _cursor(committer)
                assert intent is not None
                assert intent.token == batch.token
                seen.append((acked.sequence, intent.first.sequence, intent.last.sequence))

            sink.on_attempt = look
            await _drain(_shipper(sink, committer), committer)
            assert seen == [(1, 1, 2), (1, 1, 2), (2, 2, 3), (3, 3, 4)]
            assert _cursor(committer).intent is None

    asyncio.run(ship())


@pytest.mark.parametrize(
    "crash",
    [
        pytest.param("before", id="between the intent and the delivery"),
        pytest.param("after", id="between the delivery and the cursor"),
    ],
)
def test_after_a_crash_the_very_same_batch_goes_out_first(tmp_path: Path, crash: str) -> None:
    async def first_life() -> Recording:
        faults: dict[str, list[BaseException]] = {crash: [PowerCut()]}
        sink = Recording(**faults)
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 4)
            with pytest.raises(PowerCut):
                await _drain(_shipper(sink, committer, flush_bytes=3 * LINE_BYTES), committer)
        return sink

    async def second_life() -> Recording:
        sink = Recording(before=[SinkError("not yet")] * 2)
        async with live_log(tmp_path) as committer:
            await _append(committer, 5, 9)
            await _drain(_shipper(sink, committer, flush_bytes=1 << 30), committer)
        return sink

    first, second = asyncio.run(first_life()), asyncio.run(second_life())
    assert first.closed == 1
    assert second.attempts[:3] == [first.attempts[0]] * 3
    assert [_numbers([batch]) for batch in second.arrived] == [[1, 2, 3], [4, 5, 6, 7, 8, 9]]
    assert _numbers(first.arrived + second.arrived) == list(range(1, 10))


@pytest.mark.parametrize("seed", range(10))
def test_whenever_it_crashes_each_event_counts_once(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    arrived: list[Batch] = []
    attempts: list[Batch] = []

    async def life(number: int) -> None:
        faults: dict[str, list[BaseException]] = {chance.choice(["before", "after"]): [PowerCut()]}
        sink = Recording(**faults)
        async with live_log(tmp_path, segment_bytes=chance.choice([1, 300, 10_000])) as committer:
            await _append(committer, 5 * number + 1, 5 * number + 5)
            shipper = _shipper(sink, committer, flush_bytes=chance.choice([1, 4 * LINE_BYTES, 1 << 20]))
            with pytest.raises(PowerCut):
                await _drain(shipper, committer)
        arrived.extend(sink.arrived)
        attempts.extend(sink.attempts)

    async def last_life() -> None:
        sink = Recording()
        async with live_log(tmp_path) as committer:
            await _drain(_shipper(sink, committer), committer)
        arrived.extend(sink.arrived)
        attempts.extend(sink.attempts)

    for number in range(6):
        asyncio.run(life(number))
    asyncio.run(last_life())
    assert _numbers(arrived) == list(range(1, 31))
    by_token = {batch.token: batch for batch in attempts}
    assert all(by_token[batch.token] == batch for batch in attempts), "one token, one content"


def test_a_sink_that_fails_gets_the_same_batch_until_it_takes_it(tmp_path: Path) -> None:
    async def ship() -> Recording:
        sink = Recording(before=[SinkError("down")] * 3)
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 2)
            await _drain(_shipper(sink, committer), committer)
        return sink

    sink = asyncio.run(ship())
    assert [_numbers([batch]) for batch in sink.attempts] == [[1], [1], [1], [1], [2]]
    assert len(set(sink.attempts[:4])) == 1
    assert _numbers(sink.arrived) == [1, 2]


def test_a_sink_that_took_a_batch_and_failed_to_say_so_gets_it_again(tmp_path: Path) -> None:
    async def ship() -> Recording:
        sink = Recording(after=[SinkError("the answer was lost")])
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 2)
            await _drain(_shipper(sink, committer), committer)
        return sink

    sink = asyncio.run(ship())
    assert sink.arrived[0] == sink.arrived[1]
    assert _numbers(sink.arrived) == [1, 2]


def test_a_sink_that_does_not_open_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def ship() -> Recording:
        sink = Recording()
        sink.fail_open = [SinkError("no route"), SinkError("refused")]
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 1)
            await _drain(_shipper(sink, committer), committer)
        return sink

    sink = asyncio.run(ship())
    assert (sink.opened, _numbers(sink.arrived)) == (1, [1])
    (message,) = caplog.messages
    assert message.startswith(f"sink {NAME}: refused; retrying, "), "the state has changed once"


def test_a_sink_that_is_down_holds_up_neither_the_log_nor_another_sink(tmp_path: Path) -> None:
    async def ship() -> tuple[Recording, Recording]:
        down, up = Recording(before=[SinkError("down")] * 1000), Recording()
        tried = asyncio.Event()
        down.on_attempt = lambda _: tried.set()
        async with live_log(tmp_path) as committer:
            async with (
                _running(_shipper(down, committer, name="down")),
                _running(_shipper(up, committer, name="up")),
            ):
                await _append(committer, 1, 20)
                await up.holds(20)
                await tried.wait()
            assert _cursor(committer, "down").acked.sequence == 1
        return down, up

    down, up = asyncio.run(ship())
    assert (_numbers(down.arrived), _numbers(up.arrived)) == ([], list(range(1, 21)))


def test_a_cancelled_shipper_closes_its_sink_and_leaves_its_intent(tmp_path: Path) -> None:
    async def ship() -> tuple[Recording, Cursor]:
        sink = Recording(before=[SinkError("down")] * 1000)
        tried = asyncio.Event()
        sink.on_attempt = lambda _: tried.set()
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 1)
            async with _running(_shipper(sink, committer)):
                await tried.wait()
            return sink, _cursor(committer)

    sink, cursor = asyncio.run(ship())
    assert sink.closed == 1
    assert cursor.intent is not None
    assert cursor.intent.token == sink.attempts[0].token


class HeldDisk(Files):
    """A disk whose fsync can be held up."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.is_held = threading.Event()

    def sync(self, descriptor: int) -> None:
        if not self.go.is_set():
            self.is_held.set()
            self.go.wait(PATIENCE_SECONDS)
        super().sync(descriptor)


def test_an_event_that_is_written_but_not_fsynced_is_not_shipped(tmp_path: Path) -> None:
    async def ship() -> list[int]:
        sink, disk = Recording(), HeldDisk()
        async with live_log(tmp_path, files=disk) as committer:
            await _append(committer, 1, 1)
            disk.go.clear()
            try:
                second = committer.append(b'{"n":100002}\n')
                assert await asyncio.to_thread(disk.is_held.wait, PATIENCE_SECONDS)
                shipper = _shipper(sink, committer)
                shipper.drain()
                await shipper.run()
            finally:
                disk.go.set()
            await second
        return _numbers(sink.attempts)

    assert asyncio.run(ship()) == [1]


def _flip(folder: Path, offset: int) -> None:
    """Damage one byte of the first segment."""
    path = min(folder.glob("seg-*.ndjson"))
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


FIRST_PAYLOAD = 2 * HEADER_BYTES + 3


@pytest.mark.parametrize("segment_bytes", [1, 64 << 20])
@pytest.mark.parametrize("offset", [HEADER_BYTES + 60, FIRST_PAYLOAD])
def test_a_damaged_block_is_accounted_for_and_the_rest_is_shipped(
    tmp_path: Path, segment_bytes: int, offset: int
) -> None:
    async def ship() -> list[int]:
        sink = Recording()
        async with live_log(tmp_path, segment_bytes=segment_bytes) as committer:
            await _append(committer, 1, 3)
            _flip(tmp_path, offset)
            await _drain(_shipper(sink, committer), committer)
        return _numbers(sink.arrived)

    assert asyncio.run(ship()) == [2, 3]
    (entry,) = read_ledger(LogFolder(Files(), str(tmp_path))).entries
    assert (entry.kind, entry.lost, entry.start.sequence) == (Kind.CORRUPT, 1, 1)


@pytest.mark.parametrize(("damaged", "left"), [([0], [2, 3]), ([1], [1, 3]), ([0, 2], [2]), ([0, 1, 2], [])])
def test_an_intent_goes_on_with_what_damage_has_left_of_it(tmp_path: Path, damaged: list[int], left: list[int]) -> None:
    async def ship() -> tuple[list[Batch], list[Batch]]:
        sink, again = Recording(before=[PowerCut()]), Recording()
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 3)
            with pytest.raises(PowerCut):
                await _drain(_shipper(sink, committer, flush_bytes=1 << 20), committer)
            for at in damaged:
                _flip(tmp_path, FIRST_PAYLOAD + at * (HEADER_BYTES + LINE_BYTES))
            await _drain(_shipper(again, committer, flush_bytes=1 << 20), committer)
        return sink.attempts, again.attempts

    first, second = asyncio.run(ship())
    assert _numbers(second) == left
    assert [batch.token for batch in second] == [batch.token for batch in first][: len(second)]
    entries = read_ledger(LogFolder(Files(), str(tmp_path))).entries
    assert [entry.start.sequence for entry in entries] == [at + 1 for at in damaged]


class FullOnce(Files):
    """A disk that has no room for a cursor once."""

    is_full = True

    def rename(self, source: str, target: str) -> None:
        if "/cursors/" in target and self.is_full:
            self.is_full = False
            raise OSError(errno.ENOSPC, "No space left on device")
        super().rename(source, target)


def test_a_full_disk_under_the_cursor_does_not_end_shipping(tmp_path: Path) -> None:
    async def ship() -> list[int]:
        sink = Recording()
        async with live_log(tmp_path, files=FullOnce()) as committer:
            await _append(committer, 1, 3)
            await _drain(_shipper(sink, committer), committer)
        return _numbers(sink.arrived)

    assert asyncio.run(ship()) == [1, 2, 3]


@pytest.mark.parametrize("token", ["another", ""])
def test_an_intent_that_the_log_does_not_bear_out_is_not_sent(tmp_path: Path, token: str) -> None:
    async def ship() -> Recording:
        sink = Recording()
        async with live_log(tmp_path) as committer:
            log = committer.log
            await _append(committer, 1, 3)
            first = log.folder.oldest()
            assert first is not None
            last = Position(first.segment, first.offset + HEADER_BYTES + LINE_BYTES, first.sequence + 1)
            log.folder.save_cursor(NAME, Cursor(first, Intent(first, last, token)))
            with pytest.raises(Broken, match="the batch"):
                await _drain(_shipper(sink, committer), committer)
        return sink

    sink = asyncio.run(ship())
    assert (sink.attempts, sink.closed) == ([], 1)
