"""Logs of other nodes: each event once, whichever worker takes a batch, and whatever crashes in between."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from collector.errors import Overloaded
from collector.relays import Relays
from tests.collector.live_log import live_log
from tests.running import read_log
from wal.committer import Committer
from wal.errors import LogFull
from wal.files import Files

NODE = "00000000000000aa"
OTHER = "00000000000000bb"


class PowerCut(BaseException):
    """Ends a call in the middle, as a crash does."""


def _records(first: int, last: int, node: str = NODE) -> list[tuple[int, bytes]]:
    return [(n, b'{"id":"%b-%d","event":{}}\n' % (node.encode(), n)) for n in range(first, last + 1)]


def _sequences(folder: Path, node: str = NODE) -> list[int]:
    ids = [record["id"].rpartition("-") for record in read_log(folder)]
    return [int(sequence) for log_id, _, sequence in ids if log_id == node]


async def _filled(committer: Committer) -> None:
    """Events of this node itself, among which those of others stand."""
    await committer.append(b'{"id":"ours","event":{"id":"00000000000000aa-1"}}\n')


def test_batches_arrive_in_order_and_each_event_once(tmp_path: Path) -> None:
    async def relay() -> list[int]:
        async with live_log(tmp_path / "00") as committer:
            relays = Relays(str(tmp_path), committer)
            assert await relays.next(NODE) == 0
            return [
                await relays.take(NODE, _records(1, 3)),
                await relays.take(NODE, _records(1, 3)),
                await relays.take(OTHER, _records(7, 7, OTHER)),
                await relays.take(NODE, _records(2, 6)),
                await relays.next(NODE),
            ]

    assert asyncio.run(relay()) == [4, 4, 8, 7, 7]
    assert (_sequences(tmp_path), _sequences(tmp_path, OTHER)) == ([1, 2, 3, 4, 5, 6], [7])


def test_the_same_batch_at_two_workers_at_once_is_stored_once(tmp_path: Path) -> None:
    async def relay() -> None:
        async with live_log(tmp_path / "00") as first, live_log(tmp_path / "01") as second:
            both = [Relays(str(tmp_path), committer) for committer in (first, second)]
            await asyncio.gather(*(relays.take(NODE, _records(1, 5)) for relays in both * 5))

    asyncio.run(relay())
    assert _sequences(tmp_path) == [1, 2, 3, 4, 5]


class Cut(Files):
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
            relays = Relays(str(tmp_path), committer)
            await relays.take(NODE, _records(1, 2))
            relays._files = Cut(call, number)
            try:
                await relays.take(NODE, _records(3, 5))
            except PowerCut:
                await _filled(committer)

    async def second_life() -> int:
        async with live_log(tmp_path / ("01" if is_other_worker else "00")) as committer:
            await _filled(committer)
            relays = Relays(str(tmp_path), committer)
            assert await relays.next(NODE) in (3, 6)
            return await relays.take(NODE, _records(3, 5))

    asyncio.run(first_life())
    assert asyncio.run(second_life()) == 6
    assert _sequences(tmp_path) == [1, 2, 3, 4, 5]


def test_a_batch_that_the_log_refuses_is_taken_when_it_comes_again(tmp_path: Path) -> None:
    async def relay() -> int:
        async with live_log(tmp_path / "00") as committer:
            relays = Relays(str(tmp_path), committer)
            append, committer.append = committer.append, _refuse  # type: ignore[method-assign]
            with pytest.raises(LogFull):
                await relays.take(NODE, _records(1, 2))
            committer.append = append  # type: ignore[method-assign]
            return await relays.take(NODE, _records(1, 2))

    assert asyncio.run(relay()) == 3
    assert _sequences(tmp_path) == [1, 2]


def _refuse(lines: bytes, records: int = 1) -> asyncio.Future[None]:
    raise LogFull("no room")


def test_where_the_log_can_tell_no_more_nothing_is_guessed(tmp_path: Path) -> None:
    async def relay() -> None:
        async with live_log(tmp_path / "00", segment_bytes=1) as committer:
            await _filled(committer)
            relays = Relays(str(tmp_path), committer)
            append, committer.append = committer.append, _refuse  # type: ignore[method-assign]
            with pytest.raises(LogFull):
                await relays.take(NODE, _records(1, 2))
            committer.append = append  # type: ignore[method-assign]
            for _ in range(3):
                await _filled(committer)
            for path in sorted((tmp_path / "00").glob("seg-*"))[:-1]:
                path.unlink()
            with pytest.raises(Overloaded, match="tells no more"):
                await relays.take(NODE, _records(1, 2))

    asyncio.run(relay())
