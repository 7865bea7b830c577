"""Group commit: who waits with whom, who is refused when, and which sequences result."""

import asyncio
import errno
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.running import PATIENCE_SECONDS
from tests.wal.faulty_files import FaultyFiles, SmallDisk
from tests.wal.logs import events, line, lines, numbers, read_blocks
from wal import commit_thread
from wal.committer import Committer, State
from wal.errors import LogClosed, LogFull, LogPoisoned, RecordTooLarge
from wal.folder import LogFolder
from wal.format import HEADER_BYTES, MAX_BLOCK_BYTES, MAX_LINE_BYTES, Position
from wal.log import Log
from wal.reader import Reader

_MIB = 1 << 20


@asynccontextmanager
async def _committing(directory: str, files: FaultyFiles, segment_seconds: float = 60) -> AsyncIterator[Committer]:
    """A committer that is closed at the end; no wait in here is without an end."""
    log = Log(directory, files=files, segment_bytes=64 << 10, segment_seconds=segment_seconds)
    committer = Committer(log, stall_seconds=PATIENCE_SECONDS)  # a busy machine stands still for a while
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            yield committer
        finally:
            files.gate.set()
            try:
                await committer.close()
            finally:
                committer.log.close()


async def _blocked(committer: Committer, files: FaultyFiles, number: int) -> asyncio.Future[None]:
    """Event `number`, in a block whose fsync waits for the gate. What is appended from now on is in later blocks."""
    files.gate.clear()
    files.at_gate.clear()
    future = committer.append(line(number))
    assert await asyncio.to_thread(files.at_gate.wait, PATIENCE_SECONDS)
    return future


async def _outcomes(futures: Sequence[asyncio.Future[None]]) -> list[BaseException | None]:
    return list(await asyncio.gather(*futures, return_exceptions=True))


def _sizes(directory: str) -> list[int]:
    """Events in each block that has any."""
    return [block.header.records for block in read_blocks(directory) if block.header.records]


def _event(length: int) -> bytes:
    """One event whose line has that many bytes."""
    return b'{"n":0,"x":"%b"}\n' % (b"x" * (length - 15))


# Grouping


def test_appends_of_one_turn_share_a_block(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            await asyncio.gather(*(committer.append(line(number)) for number in range(1, 101)))
            assert files.calls.count("sync") == 1
            assert events(directory) == list(range(1, 101))

    asyncio.run(run())
    assert _sizes(directory) == [100]


class _SlowFiles(FaultyFiles):
    """The first fsync takes this many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        time.sleep(self._seconds)
        self._seconds = 0.0


def test_a_block_leaves_when_a_turn_adds_nothing_to_it(directory: str) -> None:
    async def run() -> None:
        async with _committing(directory, _SlowFiles(2)) as committer:
            await committer.append(line(1))
            for number in range(2, 6):
                last = committer.append(line(number))
                await asyncio.sleep(0)
            await last
            await committer.append(line(6))

    asyncio.run(run())
    assert _sizes(directory) == [1, 4, 1]


def test_clients_of_a_committed_block_are_in_the_next_one_with_those_that_came_meanwhile(
    directory: str, files: FaultyFiles
) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:

            async def client() -> None:
                for _ in range(50):
                    await committer.append(line(committer.next_sequence))
                    for _ in range(5):  # as long as a network takes, in turns
                        await asyncio.sleep(0)

            blocked = await _blocked(committer, files, 1)
            clients = [asyncio.create_task(client()) for _ in range(2)]
            await asyncio.sleep(0)
            files.gate.set()
            await blocked
            clients += [asyncio.create_task(client()) for _ in range(2)]  # while the first two wait for the disk
            await asyncio.gather(*clients)

    asyncio.run(run())
    sizes = _sizes(directory)
    assert sizes.count(4) > sizes.count(2)


def test_a_block_that_never_stops_growing_leaves_all_the_same(directory: str) -> None:
    async def run() -> None:
        async with _committing(directory, _SlowFiles(0.05)) as committer:
            await committer.append(line(1))
            number, first = 2, committer.append(line(2))
            while not first.done():
                number += 1
                committer.append(line(number))
                await asyncio.sleep(0)

    asyncio.run(run())
    assert len(_sizes(directory)) > 2


def test_all_that_queues_up_during_an_fsync_is_the_next_block(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            first = await _blocked(committer, files, 1)
            rest = []
            for number in range(2, 50):
                rest.append(committer.append(line(number)))
                await asyncio.sleep(0)
            assert not first.done()
            files.gate.set()
            await asyncio.gather(first, *rest)

    asyncio.run(run())
    assert _sizes(directory) == [1, 48]
    assert events(directory) == list(range(1, 50))


def test_an_append_is_done_when_its_block_is_fsynced_and_not_before(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            start = committer.durable
            first = await _blocked(committer, files, 1)
            for _ in range(100):
                await asyncio.sleep(0)
            assert not first.done()
            assert committer.durable == start
            files.gate.set()
            await first
            assert committer.durable == Position(1, HEADER_BYTES * 2 + len(line(1)), 2)
            assert numbers(read_blocks(directory, limit=committer.durable)) == [1]

    asyncio.run(run())


def test_a_block_takes_about_a_mebibyte(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            await asyncio.gather(*(committer.append(_event(_MIB // 4)) for _ in range(10)))

    asyncio.run(run())
    assert _sizes(directory) == [4, 4, 2]


def test_several_records_in_one_append_stay_together_with_their_sequences(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            for first, last in ((1, 3), (4, 4), (5, 9)):
                assert committer.next_sequence == first
                await committer.append(lines(range(first, last + 1)), last + 1 - first)

    asyncio.run(run())
    blocks = [block for block in read_blocks(directory) if block.header.records]
    assert [(block.header.sequence, numbers([block])) for block in blocks] == [
        (1, [1, 2, 3]),
        (4, [4]),
        (5, [5, 6, 7, 8, 9]),
    ]


def test_the_sequence_of_every_append_is_the_one_in_the_log(directory: str, files: FaultyFiles) -> None:
    expected: dict[int, int] = {}

    async def client(committer: Committer, number: int) -> None:
        for step in range(20):
            event = number * 100 + step
            expected[committer.next_sequence] = event
            await committer.append(line(event))

    async def run() -> None:
        async with _committing(directory, files) as committer:
            await asyncio.gather(*(client(committer, number) for number in range(40)))

    asyncio.run(run())
    assert dict(enumerate(events(directory), 1)) == dict(sorted(expected.items()))
    assert len(expected) == 800


# Refusals


@pytest.mark.parametrize(
    ("content", "records"),
    [
        (b"", 0),
        (b"", 1),
        (b"{}", 1),
        (b"[1]\n", 1),
        (b" {}\n", 1),
        (b"{}\n", 2),
        (b"{}\n{}\n", 1),
        (b"{}\n\n", 2),
        (b"{}\r\n", 1),
        (b'{"a":\n1}\n', 1),
    ],
)
def test_bytes_that_are_not_the_announced_lines_are_refused(
    directory: str, files: FaultyFiles, content: bytes, records: int
) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            with pytest.raises(ValueError, match=f"not {records} lines of a JSON object"):
                committer.append(content, records)
            assert committer.next_sequence == 1

    asyncio.run(run())
    assert events(directory) == []


@pytest.mark.parametrize(
    ("content", "records"),
    [
        (_event(MAX_LINE_BYTES + 1), 1),
        (_event(MAX_LINE_BYTES + 1) + line(1), 2),
        (line(1) + _event(MAX_LINE_BYTES + 1), 2),
        (_event(MAX_LINE_BYTES) * 8 + b"{}\n", 9),
    ],
)
def test_what_is_over_the_limits_of_the_format_is_refused(
    directory: str, files: FaultyFiles, content: bytes, records: int
) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            with pytest.raises(RecordTooLarge, match="limit"):
                committer.append(content, records)
            await committer.append(line(1))

    asyncio.run(run())
    assert events(directory) == [1]


def test_what_is_just_within_the_limits_is_read_back(directory: str, files: FaultyFiles) -> None:
    full_line, full_block = _event(MAX_LINE_BYTES), _event(MAX_LINE_BYTES) * 8
    assert (len(full_line), len(full_block)) == (MAX_LINE_BYTES, MAX_BLOCK_BYTES)

    async def run() -> None:
        async with _committing(directory, files) as committer:
            await asyncio.gather(committer.append(full_line), committer.append(full_block, 8))

    asyncio.run(run())
    assert [block.payload for block in read_blocks(directory) if block.header.records] == [full_line, full_block]
    Log(directory).close()


def test_appends_are_refused_while_too_much_waits_for_the_disk(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            first = await _blocked(committer, files, 1)
            waiting = [committer.append(_event(MAX_LINE_BYTES) * 8, 8) for _ in range(7)]
            with pytest.raises(LogFull, match="try again later"):
                committer.append(_event(MAX_LINE_BYTES) * 8, 8)
            assert committer.next_sequence == 2 + 7 * 8
            files.fail("write", errno.ENOSPC)  # they need not get to the disk for this test
            files.gate.set()
            assert [type(outcome) for outcome in await _outcomes([first, *waiting])] == [type(None), *[LogFull] * 7]
            await committer.append(_event(MAX_LINE_BYTES) * 8, 8)

    asyncio.run(run())
    assert _sizes(directory) == [1, 8]


def test_what_is_committed_does_not_wait_any_more(directory: str) -> None:
    class Swallowing(FaultyFiles):
        def write(self, descriptor: int, buffers: Sequence[bytes]) -> int:
            return sum(map(len, buffers))

    async def run() -> None:
        async with _committing(directory, Swallowing()) as committer:
            for _ in range(10):
                await committer.append(_event(MAX_LINE_BYTES) * 8, 8)
            assert committer.durable.sequence == 81

    asyncio.run(run())


# Faults


def test_a_full_disk_refuses_all_that_wait_and_their_sequences_are_used_again(
    directory: str, files: FaultyFiles
) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            first = await _blocked(committer, files, 1)
            large = _event(MAX_LINE_BYTES)
            waiting = [committer.append(large), committer.append(large), committer.append(line(0))]
            assert committer.next_sequence == 5
            files.fail("write", errno.ENOSPC)
            files.gate.set()
            assert [type(outcome) for outcome in await _outcomes([first, *waiting])] == [type(None), *[LogFull] * 3]
            assert committer.next_sequence == committer.durable.sequence == 2
            await asyncio.gather(*(committer.append(line(number)) for number in (2, 3)))
            assert committer.next_sequence == 4

    asyncio.run(run())
    assert events(directory) == [1, 2, 3]
    assert [block.header.sequence for block in read_blocks(directory) if block.header.records] == [1, 2]


def test_appends_right_after_a_refusal_are_taken(directory: str, files: FaultyFiles) -> None:
    async def client(committer: Committer, number: int) -> int:
        refusals = 0
        while True:
            try:
                await committer.append(line(number))
            except LogFull:
                refusals += 1
            else:
                return refusals

    async def run() -> int:
        async with _committing(directory, files) as committer:
            files.fail("write", errno.ENOSPC, times=3)
            return sum(await asyncio.gather(*(client(committer, number) for number in range(1, 51))))

    assert asyncio.run(run()) == 150
    assert sorted(events(directory)) == list(range(1, 51))


def test_each_block_of_events_is_reported_with_its_size_and_its_times(directory: str, files: FaultyFiles) -> None:
    commits: list[tuple[int, float, float]] = []

    async def run() -> None:
        committer = Committer(Log(directory, files=files))
        committer.on_commit = lambda *commit: commits.append(commit)
        await asyncio.gather(*[committer.append(line(number)) for number in (1, 2, 3)])
        files.fail("write", errno.ENOSPC)
        assert isinstance((await _outcomes([committer.append(line(4))]))[0], LogFull)
        await committer.append(line(4))
        await committer.close()  # an idle block, of no event
        committer.log.close()

    asyncio.run(run())
    assert [events for events, _, _ in commits] == [3, 1]
    assert all(0 < fsync_seconds < seconds for _, seconds, fsync_seconds in commits)


def test_a_failed_fsync_refuses_all_that_wait_and_every_later_append(directory: str, files: FaultyFiles) -> None:
    faults: list[LogPoisoned] = []

    async def run() -> None:
        log = Log(directory, files=files)
        committer = Committer(log, on_poisoned=faults.append)
        files.fail("sync", errno.EIO)
        first = await _blocked(committer, files, 1)
        waiting = [committer.append(line(number)) for number in (2, 3)]
        files.gate.set()
        outcomes = await _outcomes([first, *waiting])
        assert [type(outcome) for outcome in outcomes] == [LogPoisoned] * 3
        assert faults == outcomes[:1]
        for _ in range(2):
            with pytest.raises(LogPoisoned, match="restart to recover"):
                committer.append(line(4))
        assert committer.next_sequence == 1
        await committer.close()
        log.close()
        assert len(faults) == 1

    asyncio.run(run())
    assert files.calls.count("sync") == 1
    Log(directory).close()
    assert events(directory) in ([], [1])


def test_an_error_that_nobody_foresaw_refuses_too_and_says_what_it_was(directory: str, files: FaultyFiles) -> None:
    faults: list[LogPoisoned] = []

    async def run() -> None:
        committer = Committer(Log(directory, files=files), on_poisoned=faults.append)
        files.fail("reserve", MemoryError("no more"))
        with pytest.raises(LogPoisoned, match=r"MemoryError\('no more'\) in the commit thread"):
            await committer.append(line(1))
        with pytest.raises(LogPoisoned):
            committer.append(line(2))
        await committer.close()

    asyncio.run(run())
    assert len(faults) == 1
    assert events(directory) == []


def test_a_cancelled_waiter_neither_keeps_its_event_out_nor_stops_the_thread(
    directory: str, files: FaultyFiles
) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            future = await _blocked(committer, files, 1)
            waiter = asyncio.ensure_future(asyncio.wait_for(future, None))
            await asyncio.sleep(0)
            waiter.cancel()
            files.gate.set()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            await committer.append(line(2))

    asyncio.run(run())
    assert events(directory) == [1, 2]


# Closing


def test_close_commits_what_waits_and_refuses_what_comes_later(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            first = await _blocked(committer, files, 1)
            waiting = [committer.append(_event(MAX_LINE_BYTES)), committer.append(line(0))]
            closing = asyncio.create_task(committer.close())
            await asyncio.sleep(0)
            with pytest.raises(LogClosed, match="stopping"):
                committer.append(line(4))
            assert not closing.done()
            files.gate.set()
            await closing
            assert await _outcomes([first, *waiting]) == [None] * 3
            await committer.close()
            with pytest.raises(LogClosed):
                committer.append(line(4))

    asyncio.run(run())
    assert events(directory) == [1, 0, 0]
    assert read_blocks(directory)[-1].header.records == 0
    assert not [thread for thread in threading.enumerate() if directory in thread.name]


def test_close_right_after_an_append_commits_it(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            committer.append(line(1))

    asyncio.run(run())
    assert events(directory) == [1]


def test_close_on_a_full_disk_says_so_and_keeps_what_was_acknowledged(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            await committer.append(line(1))
            files.fail("write", errno.ENOSPC)
            with pytest.raises(LogFull):
                await committer.close()

    asyncio.run(run())
    Log(directory).close()
    assert events(directory) == [1]


# States


def test_an_append_goes_from_idle_through_gathering_and_committing_back_to_idle(
    directory: str, files: FaultyFiles
) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            states = [committer.state]
            files.gate.clear()
            future = committer.append(line(1))
            states.append(committer.state)
            assert await asyncio.to_thread(files.at_gate.wait, PATIENCE_SECONDS)
            states.append(committer.state)
            files.gate.set()
            await future
            assert [*states, committer.state] == [State.IDLE, State.GROWING, State.COMMITTING, State.IDLE]

    asyncio.run(run())


def test_a_block_of_several_appends_is_followed_by_a_delay_which_a_block_of_one_is_not(
    directory: str, files: FaultyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_thread, "COMMIT_DELAY_SECONDS", 0.5)  # a busy machine sleeps through 0.3 ms
    seen: list[State] = []

    async def run() -> None:
        async with _committing(directory, files) as committer:
            for appends, expected in ((1, State.IDLE), (2, State.DELAYING)):
                futures = [committer.append(line(number)) for number in range(appends)]
                futures[0].add_done_callback(lambda _: seen.append(committer.state))
                await asyncio.wait(futures)
                assert seen.pop() is expected

    asyncio.run(run())


def test_a_closed_committer_is_closed_and_a_poisoned_one_still_ends(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        committer = Committer(Log(directory, files=files))
        files.fail("sync", errno.EIO)
        with pytest.raises(LogPoisoned):
            await committer.append(line(1))
        states = [committer.state]
        await committer.close()
        assert [*states, committer.state] == [State.IDLE, State.CLOSED]
        committer.log.close()

    asyncio.run(run())


def test_a_bug_after_a_commit_poisons_the_log_and_leaves_nobody_waiting(
    directory: str, files: FaultyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise no commit would start again, and every later append would wait for ever."""

    async def run() -> None:
        poisoned: list[LogPoisoned] = []
        committer = Committer(Log(directory, files=files), on_poisoned=poisoned.append)
        files.gate.clear()
        first = committer.append(line(1))
        while committer.state is not State.COMMITTING:
            await asyncio.sleep(0)
        later = committer.append(line(2))
        monkeypatch.setattr(committer._idle_timer, "plan", lambda *_: [].pop())
        files.gate.set()
        outcomes = await _outcomes([first, later])
        assert outcomes[0] is None, "it is fsynced"
        assert isinstance(outcomes[1], LogPoisoned)
        assert len(poisoned) == 1
        with pytest.raises(LogPoisoned):
            committer.append(line(3))
        await committer.close()
        committer.log.close()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_SECONDS))


# Following


def test_followers_see_every_event_and_miss_no_wake_up(directory: str, files: FaultyFiles) -> None:
    last = 400

    async def follow(committer: Committer) -> list[int]:
        reader = Reader(LogFolder(files, directory), committer.durable)
        seen: list[int] = []
        while len(seen) < last:
            await committer.wait_beyond(reader.position)
            while block := reader.next(committer.durable):
                seen += numbers([block])
            assert reader.position <= committer.durable
        reader.close()
        return seen

    async def write(committer: Committer) -> None:
        for number in range(1, last + 1):
            future = committer.append(line(number))
            if number % 3:
                await future

    async def run() -> list[list[int]]:
        async with _committing(directory, files) as committer:
            followers = [asyncio.create_task(follow(committer)) for _ in range(5)]
            await asyncio.gather(write(committer), *followers)
            return [follower.result() for follower in followers]

    assert asyncio.run(run()) == [list(range(1, last + 1))] * 5


def test_a_follower_that_gives_up_does_not_disturb_the_others(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            start = committer.durable
            patient, other = (asyncio.create_task(committer.wait_beyond(start)) for _ in range(2))
            await asyncio.sleep(0)
            other.cancel()
            await committer.append(line(1))
            await patient
            await committer.wait_beyond(start)  # at once, as it is so
            assert other.cancelled()

    asyncio.run(run())


def test_a_pause_writes_one_idle_block_that_proves_the_last_event(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            for number in (1, 2):
                await committer.append(line(number))
            await committer.wait_beyond(committer.durable)

    asyncio.run(run())
    blocks = read_blocks(directory)
    assert [block.header.records for block in blocks] == [1, 1, 0]
    assert blocks[-1].header.durable == blocks[-1].header.offset


def test_a_quiet_log_leaves_its_segment_when_it_is_old(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files, segment_seconds=0.15) as committer:
            await committer.append(line(1))
            while committer.durable.segment == 1:
                await committer.wait_beyond(committer.durable)
            assert committer.durable == Position(2, HEADER_BYTES, 2)

    asyncio.run(run())
    assert events(directory) == [1]


def test_while_the_disk_stalls_new_appends_are_refused_and_those_that_wait_are_served(
    directory: str, files: FaultyFiles
) -> None:
    async def run() -> None:
        log = Log(directory, files=files)
        committer = Committer(log, stall_seconds=0.05)
        stalled = await _blocked(committer, files, 1)
        waiting = committer.append(line(2))
        while not committer_refuses(committer):
            await asyncio.sleep(0.01)
        files.gate.set()
        await asyncio.gather(stalled, waiting)
        sequence = committer.next_sequence
        await committer.append(line(sequence))
        await committer.close()
        log.close()

    def committer_refuses(committer: Committer) -> bool:
        try:
            committer.append(line(committer.next_sequence))
        except LogFull as refusal:
            return "the disk has not answered for" in str(refusal)
        return False

    asyncio.run(asyncio.wait_for(run(), PATIENCE_SECONDS))
    assert events(directory) == list(range(1, len(events(directory)) + 1))


# Fullness


def test_a_log_that_nothing_waits_for_is_not_full(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        async with _committing(directory, files) as committer:
            assert committer.pressure == 0
            await committer.append(line(1))
            assert committer.pressure < 0.01

    asyncio.run(run())


def test_what_waits_for_the_disk_fills_the_log_up_to_where_appends_are_refused(
    directory: str, files: FaultyFiles
) -> None:
    async def run() -> None:
        log = Log(directory, files=files)
        committer = Committer(log, stall_seconds=PATIENCE_SECONDS * 10)
        waiting = [await _blocked(committer, files, 0)]
        seen = [committer.pressure]
        while seen[-1] <= 1 - 1 / 128:
            waiting.append(committer.append(_event(_MIB // 2)))
            seen.append(committer.pressure)
        with pytest.raises(LogFull, match="bytes wait for the disk"):
            committer.append(_event(_MIB // 2))
        files.gate.set()
        await asyncio.gather(*waiting)
        assert seen == sorted(seen)
        assert seen[0] < 0.01
        assert 0.99 < seen[-1] <= 1
        await committer.close()
        log.close()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_SECONDS))


def test_a_disk_that_takes_its_time_fills_the_log(directory: str, files: FaultyFiles) -> None:
    async def run() -> None:
        log = Log(directory, files=files)
        committer = Committer(log, stall_seconds=0.05)
        stalled = await _blocked(committer, files, 1)
        while committer.pressure < 1:
            await asyncio.sleep(0.01)
        files.gate.set()
        await stalled
        assert committer.pressure < 1
        await committer.close()
        log.close()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_SECONDS))


@pytest.mark.parametrize("free", [100, 600])
def test_a_full_disk_fills_the_log_until_there_is_room_though_nobody_appends(directory: str, free: int) -> None:
    async def run() -> None:
        disk = SmallDisk()
        disk.free = free
        log = Log(directory, files=disk, min_free_bytes=500)
        committer = Committer(log)
        await asyncio.wait([committer.append(line(1))])
        assert committer.pressure == pytest.approx(500 / free)
        disk.free = 50_000
        while committer.pressure > 0.01:
            await asyncio.sleep(0.01)
        await committer.close()
        log.close()

    asyncio.run(asyncio.wait_for(run(), PATIENCE_SECONDS))
