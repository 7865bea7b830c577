"""Logs of other nodes: each event once, whichever worker takes a batch, and whatever crashes in between."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.errors import Forbidden, OtherLog, RelayBlocked
from collector.ops.counters import CounterBlock
from collector.relays.logs import RelayedLogs
from collector.relays.marks import MOST_LOGS, Marks, RelayMark, key_name
from tests.collector.live_log import live_log
from tests.running import read_log
from wal.committer import Committer
from wal.errors import LogFull
from wal.files import Files

NODE = "00000000000000aa"
OTHER = "00000000000000bb"
KEY, OTHER_KEY, NEW_KEY = KEYS = (b"a" * 64, b"b" * 64, b"c" * 64)
CHAIN = "0badcafe"


class PowerCut(BaseException):
    """Ends a call in the middle, as a crash does."""


def _records(first: int, last: int, node: str = NODE) -> list[tuple[int, bytes]]:
    return [(n, b'{"id":"%b-%d","event":{}}\n' % (node.encode(), n)) for n in range(first, last + 1)]


def _sequences(folder: Path, node: str = NODE) -> list[int]:
    ids = [record["id"].rpartition("-") for record in read_log(folder)]
    return [int(sequence) for log_id, _, sequence in ids if log_id == node]


def _relays(
    folder: Path, committer: Committer, files: Files | None = None, keys: tuple[bytes, ...] = KEYS
) -> RelayedLogs:
    return RelayedLogs(
        str(folder), committer, keys, CounterBlock.create(), clock=lambda: 1_700_000_000_000, files=files
    )


async def _filled(committer: Committer) -> None:
    """Events of this node itself, among which those of others stand."""
    await committer.append(b'{"id":"ours","event":{"id":"00000000000000aa-1"}}\n')


def test_batches_arrive_in_order_and_each_event_once(tmp_path: Path) -> None:
    async def relay() -> list[int]:
        async with live_log(tmp_path / "00") as committer:
            relays = _relays(tmp_path, committer)
            assert await relays.next(KEY, NODE) == (0, None)
            return [
                await relays.take(KEY, NODE, _records(1, 3)),
                await relays.take(KEY, NODE, _records(1, 3)),
                await relays.take(KEY, OTHER, _records(7, 7, OTHER)),
                await relays.take(KEY, NODE, _records(2, 6)),
                (await relays.next(KEY, NODE))[0],
            ]

    assert asyncio.run(relay()) == [4, 4, 8, 7, 7]
    assert (_sequences(tmp_path), _sequences(tmp_path, OTHER)) == ([1, 2, 3, 4, 5, 6], [7])


def test_relayed_events_are_counted_once(tmp_path: Path) -> None:
    counters = CounterBlock.create()

    async def relay() -> None:
        async with live_log(tmp_path / "00") as committer:
            relays = RelayedLogs(str(tmp_path), committer, KEYS, counters)
            for first, last in ((1, 3), (1, 3), (2, 6)):
                await relays.take(KEY, NODE, _records(first, last))

    asyncio.run(relay())
    assert counters.read() == {("tracklog_relayed_events_total",): 6}


def test_the_same_batch_at_two_workers_at_once_is_stored_once(tmp_path: Path) -> None:
    async def relay() -> None:
        async with live_log(tmp_path / "00") as first, live_log(tmp_path / "01") as second:
            both = [_relays(tmp_path, committer) for committer in (first, second)]
            await asyncio.gather(*(relays.take(KEY, NODE, _records(1, 5)) for relays in both * 5))

    asyncio.run(relay())
    assert _sequences(tmp_path) == [1, 2, 3, 4, 5]


class BatchBuilder(Files):
    """A disk at whose n-th call of one kind the power goes."""

    def __init__(self, call: str, number: int) -> None:
        self._call = call
        self._left = number

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "_call"):
            self._left -= 1
            if self._left == 0:
                raise PowerCut
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("call", ["lock", "create", "sync_all", "rename", "sync_directory"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("is_other_worker", [True, False])
def test_a_crash_at_any_step_is_settled_by_whoever_takes_the_batch_again(
    tmp_path: Path, call: str, number: int, is_other_worker: bool
) -> None:
    async def first_life() -> None:
        async with live_log(tmp_path / "00") as committer:
            await _filled(committer)
            await _relays(tmp_path, committer).take(KEY, NODE, _records(1, 2))
            relays = _relays(tmp_path, committer, BatchBuilder(call, number))
            try:
                await relays.take(KEY, NODE, _records(3, 5))
            except PowerCut:
                await _filled(committer)

    async def second_life() -> int:
        async with live_log(tmp_path / ("01" if is_other_worker else "00")) as committer:
            await _filled(committer)
            relays = _relays(tmp_path, committer)
            assert await relays.next(KEY, NODE) in ((3, None), (6, None))
            return await relays.take(KEY, NODE, _records(3, 5))

    asyncio.run(first_life())
    assert asyncio.run(second_life()) == 6
    assert _sequences(tmp_path) == [1, 2, 3, 4, 5]


def test_a_batch_that_the_log_refuses_is_taken_when_it_comes_again(tmp_path: Path) -> None:
    async def relay() -> int:
        async with live_log(tmp_path / "00") as committer:
            relays = _relays(tmp_path, committer)
            await _refused_by_the_log(relays, committer)
            return await relays.take(KEY, NODE, _records(1, 2))

    assert asyncio.run(relay()) == 3
    assert _sequences(tmp_path) == [1, 2]


async def _refused_by_the_log(relays: RelayedLogs, committer: Committer) -> None:
    """A first batch comes while the log has no room."""
    append, committer.append = committer.append, _refuse  # type: ignore[method-assign]
    with pytest.raises(LogFull):
        await relays.take(KEY, NODE, _records(1, 2))
    committer.append = append  # type: ignore[method-assign]


def _refuse(lines: bytes, records: int = 1) -> asyncio.Future[None]:
    raise LogFull("no room")


def test_where_the_log_can_tell_no_more_nothing_is_guessed(tmp_path: Path) -> None:
    async def relay() -> None:
        async with live_log(tmp_path / "00", segment_bytes=1) as committer:
            await _filled(committer)
            relays = _relays(tmp_path, committer)
            await _refused_by_the_log(relays, committer)
            for _ in range(3):
                await _filled(committer)
            for path in sorted((tmp_path / "00").glob("seg-*"))[:-1]:
                path.unlink()
            with pytest.raises(RelayBlocked, match="can't tell whether events 1 to 2 are stored"):
                await relays.take(KEY, NODE, _records(1, 2))

    asyncio.run(relay())


def test_a_log_stays_with_its_first_key_until_that_is_not_in_the_settings(tmp_path: Path) -> None:
    async def relay() -> None:
        async with live_log(tmp_path / "00") as committer:
            relays = _relays(tmp_path, committer)
            await relays.take(KEY, NODE, _records(1, 2))
            for refused in (relays.take(OTHER_KEY, NODE, _records(3, 4)), relays.next(OTHER_KEY, NODE)):
                with pytest.raises(Forbidden, match="bound to another relay key"):
                    await refused
            changed = _relays(tmp_path, committer, keys=(NEW_KEY, OTHER_KEY))
            assert await changed.take(NEW_KEY, NODE, _records(2, 3)) == 4
            with pytest.raises(Forbidden):
                await changed.take(OTHER_KEY, NODE, _records(4, 5))

    asyncio.run(relay())
    assert _sequences(tmp_path) == [1, 2, 3]


def test_a_log_is_bound_before_its_first_event_is_stored(tmp_path: Path) -> None:
    async def relay() -> None:
        async with live_log(tmp_path / "00") as committer:
            relays = _relays(tmp_path, committer)
            await _refused_by_the_log(relays, committer)
            with pytest.raises(Forbidden):
                await relays.take(OTHER_KEY, NODE, _records(1, 2))

    asyncio.run(relay())
    assert _sequences(tmp_path) == []


def test_a_key_is_in_no_file(tmp_path: Path) -> None:
    async def relay() -> None:
        async with live_log(tmp_path / "00") as committer:
            await _relays(tmp_path, committer).take(KEY, NODE, _records(1, 2))

    asyncio.run(relay())
    mark = Marks(str(tmp_path)).read(NODE)
    assert mark == RelayMark(next=3, key=key_name(KEY), last_ms=1_700_000_000_000)
    for path in (tmp_path / "relays").iterdir():
        assert KEY not in path.read_bytes()
        assert KEY.hex() not in path.read_text()


def test_a_key_gets_no_more_logs_and_no_more_files_than_it_may_have(tmp_path: Path) -> None:
    folder = tmp_path / "relays"
    folder.mkdir()
    mark = msgspec.json.encode(RelayMark(key=key_name(KEY)))
    for number in range(MOST_LOGS - 1):
        (folder / f"{number:016x}.json").write_bytes(mark)

    async def relay() -> None:
        async with live_log(tmp_path / "00") as committer:
            relays = _relays(tmp_path, committer)
            results = await asyncio.gather(
                *(relays.take(KEY, node, _records(1, 1, node)) for node in (f"f{n:015x}" for n in range(10))),
                return_exceptions=True,
            )
            assert [str(result) for result in results if "relay forget" not in str(result)] == ["2"]
            assert await relays.take(OTHER_KEY, "e" * 16, _records(1, 1, "e" * 16)) == 2

    asyncio.run(relay())
    assert len(list(folder.glob("*.json"))) == MOST_LOGS + 1
    assert len(list(folder.glob("*.lock"))) == 3, "one for the new log of each key, one for first marks"


def test_nobody_relays_a_log_of_this_node(tmp_path: Path) -> None:
    async def relay() -> None:
        async with live_log(tmp_path / "00") as first, live_log(tmp_path / "01") as second:
            relays = _relays(tmp_path, first)
            for committer in (first, second):
                log_id = committer.log.log_id.decode()
                for refused in (relays.take(KEY, log_id, _records(9, 9, log_id)), relays.next(KEY, log_id)):
                    with pytest.raises(Forbidden, match="this node's own"):
                        await refused

    asyncio.run(relay())
    assert read_log(tmp_path) == []


@pytest.mark.parametrize("is_written", [True, False])
def test_the_chain_of_a_batch_that_a_crash_cut_short_counts_if_it_was_written(tmp_path: Path, is_written: bool) -> None:
    calls = 2 if is_written else 1

    async def relay() -> None:
        async with live_log(tmp_path / "00") as committer:
            await _relays(tmp_path, committer).take(KEY, NODE, _records(1, 2), "00000001")
            with pytest.raises(PowerCut):
                await _relays(tmp_path, committer, BatchBuilder("create", calls)).take(KEY, NODE, _records(3, 5), CHAIN)
            relays = _relays(tmp_path, committer)
            assert await relays.next(KEY, NODE) == ((6, CHAIN) if is_written else (3, "00000001"))
            if is_written:
                with pytest.raises(OtherLog, match="set it aside"):
                    await relays.take(KEY, NODE, _records(4, 5), "00000001")
            assert await relays.take(KEY, NODE, _records(3, 5), CHAIN) == 6

    asyncio.run(relay())
    assert _sequences(tmp_path) == [1, 2, 3, 4, 5]


class Slow(Files):
    """A disk that takes its time over one rename."""

    def __init__(self) -> None:
        self.is_renaming = threading.Event()
        self.goes_on = threading.Event()

    def rename(self, source: str, target: str) -> None:
        self.is_renaming.set()
        assert self.goes_on.wait(30)
        super().rename(source, target)


def test_a_mark_that_is_being_written_is_not_seen_by_another_worker_though_the_first_was_cancelled(
    tmp_path: Path,
) -> None:
    async def relay() -> None:
        async with live_log(tmp_path / "00") as committer:
            await _relays(tmp_path, committer).take(KEY, NODE, _records(1, 1))
            slow = Slow()
            first = asyncio.create_task(_relays(tmp_path, committer, slow).take(KEY, NODE, _records(2, 3)))
            await asyncio.to_thread(slow.is_renaming.wait, 30)
            first.cancel()
            second = asyncio.create_task(_relays(tmp_path, committer).take(KEY, NODE, _records(2, 3)))
            try:
                await asyncio.wait([first], timeout=0.1)
                assert not first.done()
                assert not second.done()
            finally:
                slow.goes_on.set()
            assert await second == 4
            with pytest.raises(asyncio.CancelledError):
                await first
            assert await _relays(tmp_path, committer).next(KEY, NODE) == (4, None)

    asyncio.run(relay())
    assert _sequences(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize("plan", ['{"shard":"../x"', '{"shard":"07"', '{"shard":"00"'])
def test_a_plan_of_a_shard_that_cannot_tell_is_left_to_a_person(tmp_path: Path, plan: str) -> None:
    folder = tmp_path / "relays"
    folder.mkdir()
    (folder / f"{NODE}.json").write_text(f'{{"next":3,"plan":{plan},"sequence":9,"first":3,"last":5}}}}')

    async def relay() -> None:
        async with live_log(tmp_path / "00", segment_bytes=1) as committer:
            for _ in range(12):
                await _filled(committer)
            for path in sorted((tmp_path / "00").glob("seg-*"))[:-1]:
                path.unlink()
            with pytest.raises(RelayBlocked, match=rf"relays/{NODE}\.json: "):
                await _relays(tmp_path, committer).take(KEY, NODE, _records(3, 5))

    asyncio.run(relay())
