"""What a sink refuses for good: found by halving, in the dead letters once, and nothing else suffers."""

import asyncio
import random
from pathlib import Path

import pytest

from collector.errors import BatchRefused, SinkError
from collector.ship.batch import Batch, Record, slice_batch
from collector.ship.health import load_health
from collector.ship.mark import Mark, Resumption
from collector.ship.shipper import Shipper
from tests.collector.live_log import live_log
from wal.committer import Committer
from wal.cursor import Cursor
from wal.errors import Broken, LogFull

ENDLESS = 86_400.0


class PowerCut(BaseException):
    """Ends a run in the middle, as a crash does."""


class Picky:
    """A sink that refuses every batch with one of `culprits`, and remembers by token what it took."""

    def __init__(self, culprits: set[int]) -> None:
        self.culprits = culprits
        self.taken: dict[str, list[int]] = {}
        self.attempts: list[list[int]] = []
        self.cut_after: int | None = None
        self.closed = 0

    async def open(self, log_id: str, sequence: int) -> Resumption:
        return Resumption(sequence)

    async def deliver(self, batch: Batch) -> None:
        sequences = [event.sequence for event in batch.events()]
        self.attempts.append(sequences)
        if self.cut_after is not None and len(self.attempts) > self.cut_after:
            raise PowerCut
        if self.culprits & set(sequences):
            raise BatchRefused("too odd")
        assert self.taken.setdefault(batch.token, sequences) == sequences, "one token, one content"

    async def close(self) -> None:
        self.closed += 1

    @property
    def arrived(self) -> list[int]:
        return [sequence for sequences in self.taken.values() for sequence in sequences]


class FakeDeadLetters:
    """Remembers each dead letter, and once where it is told that it may be there already."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, int, str]] = []
        self.faults: list[Exception] = []
        self.cut = False

    async def put(self, sink: str, event: Record, reason: str, *, maybe_again: bool) -> None:
        if self.faults:
            raise self.faults.pop()
        letter = (sink, event.sequence, reason)
        if not (maybe_again and letter in self.letters):
            self.letters.append(letter)
        if self.cut:
            self.cut = False
            raise PowerCut


async def _drain(committer: Committer, sink: Picky, dead_letters: FakeDeadLetters) -> None:
    shipper = Shipper("picky", sink, committer, dead_letters, flush_bytes=1 << 20, flush_seconds=ENDLESS)
    shipper.drain()
    keeping = asyncio.create_task(shipper.presence.keep())
    try:
        await shipper.run()
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


def _ship(folder: Path, blocks: list[int], sink: Picky, dead_letters: FakeDeadLetters) -> None:
    """Blocks of so many events, shipped as one batch; again after each power cut."""

    async def fill() -> None:
        async with live_log(folder) as committer:
            for records in blocks:
                await committer.append(b'{"n":1}\n' * records, records)

    async def ship() -> bool:
        async with live_log(folder) as committer:
            try:
                await _drain(committer, sink, dead_letters)
            except PowerCut:
                return False
            log = committer.log
            cursor = log.folder.cursor("picky")
            assert cursor
            assert (cursor.acked.sequence, cursor.intent) == (sum(blocks) + 1, None)
            return True

    asyncio.run(fill())
    while not asyncio.run(ship()):
        if sink.cut_after is not None:
            sink.cut_after += random.Random(len(sink.attempts)).randint(1, 3)


@pytest.mark.parametrize("blocks", [[16], [1] * 16, [3, 1, 7, 5], [1]])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_culprits_alone_become_dead_letters_and_all_else_arrives_in_order(
    tmp_path: Path, blocks: list[int], share: float
) -> None:
    chance = random.Random(f"{blocks}{share}")
    everything = range(1, sum(blocks) + 1)
    sink, dead_letters = Picky({n for n in everything if chance.random() < share}), FakeDeadLetters()
    _ship(tmp_path, blocks, sink, dead_letters)
    assert sink.arrived == [n for n in everything if n not in sink.culprits]
    assert dead_letters.letters == [("picky", n, "too odd") for n in sorted(sink.culprits)]
    assert sink.closed == 1, "a refusal is an answer, no reason to open the sink again"


def test_one_culprit_in_a_thousand_is_found_in_a_few_attempts(tmp_path: Path) -> None:
    sink = Picky({700})
    _ship(tmp_path, [1000], sink, FakeDeadLetters())
    assert len(sink.attempts) < 40


def test_a_batch_that_is_refused_whole_costs_about_an_attempt_an_event(tmp_path: Path) -> None:
    sink = Picky(set(range(1, 201)))
    _ship(tmp_path, [200], sink, FakeDeadLetters())
    assert len(sink.attempts) < 220


@pytest.mark.parametrize("cut_after", range(12))
@pytest.mark.parametrize("culprits", [{1}, {5}, {8}, {2, 3, 7}, set(range(1, 9))])
def test_a_crash_at_any_attempt_neither_loses_nor_doubles_nor_buries_twice(
    tmp_path: Path, cut_after: int, culprits: set[int]
) -> None:
    sink, dead_letters = Picky(culprits), FakeDeadLetters()
    sink.cut_after = cut_after
    _ship(tmp_path, [3, 1, 4], sink, dead_letters)
    assert sink.arrived == [n for n in range(1, 9) if n not in culprits]
    assert [sequence for _, sequence, _ in dead_letters.letters] == sorted(culprits)


def test_a_crash_after_a_dead_letter_was_written_does_not_write_it_twice(tmp_path: Path) -> None:
    sink, dead_letters = Picky({2}), FakeDeadLetters()
    dead_letters.cut = True
    _ship(tmp_path, [4], sink, dead_letters)
    assert dead_letters.letters == [("picky", 2, "too odd")]
    assert sink.arrived == [1, 3, 4]


def test_a_sink_that_takes_a_refused_batch_after_a_crash_gets_no_event_twice(tmp_path: Path) -> None:
    sink, dead_letters = Picky({8}), FakeDeadLetters()

    async def first_life() -> None:
        async with live_log(tmp_path) as committer:
            await committer.append(b'{"n":1}\n' * 8, 8)
            sink.cut_after = 4
            with pytest.raises(PowerCut):
                await _drain(committer, sink, dead_letters)

    async def second_life() -> None:
        async with live_log(tmp_path) as committer:
            sink.culprits, sink.cut_after = set(), None
            await _drain(committer, sink, dead_letters)

    asyncio.run(first_life())
    assert sink.arrived, "a half arrived before the crash"
    asyncio.run(second_life())
    assert sorted(sink.arrived) == list(range(1, 9))


def test_dead_letters_that_have_no_room_are_waited_for(tmp_path: Path) -> None:
    sink, dead_letters = Picky({1}), FakeDeadLetters()
    dead_letters.faults = [LogFull("the disk is full")]
    _ship(tmp_path, [2], sink, dead_letters)
    assert dead_letters.letters == [("picky", 1, "too odd")]


class Moody(Picky):
    """A sink whose `open` says what it has itself, and whose next attempts fail."""

    def __init__(self, places: list[int], failures: int = 0) -> None:
        super().__init__(set())
        self.places = places
        self.failures = failures
        self.opened_at: list[int] = []

    async def open(self, log_id: str, sequence: int) -> Resumption:
        self.opened_at.append(sequence)
        if not self.places:
            return Resumption(sequence)
        place = self.places.pop(0)
        return Resumption(place, Mark(place, "", "its own table"))

    async def deliver(self, batch: Batch) -> None:
        if self.failures:
            self.failures -= 1
            raise SinkError("the answer was lost")
        await super().deliver(batch)


@pytest.mark.parametrize("place", range(1, 12))
@pytest.mark.parametrize("blocks", [[10], [1] * 10, [4, 6]])
def test_a_sink_that_knows_better_goes_on_where_it_says(tmp_path: Path, place: int, blocks: list[int]) -> None:
    sink = Moody([place])
    _ship(tmp_path, blocks, sink, FakeDeadLetters())
    assert sink.arrived == list(range(place, 11))


def test_a_sink_that_has_more_than_the_log_stops_until_a_person_has_looked(tmp_path: Path) -> None:
    sink = Moody([12])
    with pytest.raises(Broken, match=r"the events before 12, found none from 11 on; .* was it restored"):
        _ship(tmp_path, [10], sink, FakeDeadLetters())
    health = load_health(str(tmp_path), "picky")
    assert health
    assert (health.state, "restored" in health.error, sink.attempts) == ("stopped", True, [])


def test_a_sink_that_wants_what_is_gone_goes_on_at_the_oldest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def ship() -> Moody:
        async with live_log(tmp_path, segment_bytes=1) as committer:
            for _ in range(4):
                await committer.append(b'{"n":1}\n' * 2, 2)
            log = committer.log
            log.folder.save_cursor("picky", Cursor(log.end))
            for name in log.folder.segments()[:2]:
                log.folder.files.unlink(f"{log.folder.path}/{name}")
            sink = Moody([2])
            await _drain(committer, sink, FakeDeadLetters())
            return sink

    assert asyncio.run(ship()).arrived == [5, 6, 7, 8]
    assert "lacks the events from 2 to 4, and they are gone here" in caplog.text


def test_a_sink_that_has_the_batch_in_doubt_does_not_get_it_again(tmp_path: Path) -> None:
    sink = Moody([1, 8], failures=1)
    _ship(tmp_path, [4, 3], sink, FakeDeadLetters())
    assert (sink.attempts, sink.opened_at) == ([], [1, 1])


def test_a_sink_that_has_a_part_of_the_batch_in_doubt_gets_the_rest(tmp_path: Path) -> None:
    sink = Moody([1, 5, 5], failures=1)
    _ship(tmp_path, [4, 3], sink, FakeDeadLetters())
    assert sink.arrived == [5, 6, 7]


def test_a_sink_that_turns_back_while_it_is_shipped_to_gets_what_it_lacks(tmp_path: Path) -> None:
    async def ship() -> Moody:
        sink = Moody([])
        async with live_log(tmp_path) as committer:
            shipper = Shipper("picky", sink, committer, FakeDeadLetters(), flush_bytes=1, flush_seconds=ENDLESS)
            for _ in range(3):
                await committer.append(b'{"n":1}\n')
            task = asyncio.create_task(shipper.run())
            while len(sink.arrived) < 3:
                await asyncio.sleep(0.01)
            sink.failures, sink.places, sink.taken = 1, [2, 2], {}
            await committer.append(b'{"n":1}\n')
            await committer.close()
            shipper.drain()
            await task
        return sink

    assert asyncio.run(ship()).arrived == [2, 3, 4]


def test_parts_of_a_batch_have_tokens_of_their_own_that_say_what_they_hold(tmp_path: Path) -> None:
    sink = Picky({3})
    _ship(tmp_path, [4], sink, FakeDeadLetters())
    (whole,) = {token.partition("+")[0] for token in sink.taken}
    assert sink.taken == {f"{whole}+1-2": [1, 2], f"{whole}+4-4": [4]}


def test_a_part_of_nothing_is_none() -> None:
    batch = Batch("0123456789abcdef", "t", ())
    assert slice_batch(batch, 0, 0) is None
