"""After a worker was killed: what of its open events is in the log is stored, and the rest is shed."""

import asyncio
from pathlib import Path

import pytest

from collector.ingest.accounts.settling import pack, settle, unsettled_events
from collector.ops.counters import CounterBlock
from collector.settings import PropertySettings
from tests.collector.live_intake import Logs, ask, endpoint, live_intake
from tests.collector.live_log import live_log
from wal.files import Files
from wal.folder import LogFolder
from wal.format import Position
from wal.log import Log

_QUERY = "portal_id=1&prop_id={}&resp_type=json"
_RECEIVED, _STORED, _SHED = (f"tracklog_events_{fate}_total" for fate in ("received", "stored", "shed"))


async def _post(logs: Logs, prop_id: int, times: int) -> None:
    served = endpoint(logs, PropertySettings(1, prop_id, required=("ea",)))
    for _ in range(times):
        assert (await ask(served, "POST", _QUERY.format(prop_id), b'{"ea":"view"}')).status == 200


def _killed(folder: Path, block: CounterBlock) -> None:
    """A worker that has counted one event of property 2, and was killed with another and two of property 3 fsynced."""

    async def run() -> None:
        async with live_intake(folder, counters=block) as logs:
            await _post(logs, 2, 1)
            place = block.read()["place", "00"]
            await _post(logs, 2, 1)
            await _post(logs, 3, 2)
        block.values[block.slot("place", "00")] = place

    asyncio.run(run())
    block.values[block.slot(_STORED, "1", "2")] = 1
    block.values[block.slot(_STORED, "1", "3")] = 0


def _settled(folder: Path, block: CounterBlock) -> dict[tuple[str, ...], int]:
    settle(block, str(folder / "log"))
    return {key: value for key, value in block.read().items() if value and key[0] in (_STORED, _SHED)}


def test_fsynced_events_that_were_not_counted_are_stored_and_others_are_shed(tmp_path: Path) -> None:
    block = CounterBlock.create()
    _killed(tmp_path, block)
    block.add(1, _RECEIVED, "1", "2")
    assert _settled(tmp_path, block) == {
        (_STORED, "1", "2"): 2,
        (_STORED, "1", "3"): 2,
        (_SHED, "1", "2", "worker_died"): 1,
    }
    assert set(unsettled_events(block.read()).values()) == {0}
    before = block.read()
    settle(block, str(tmp_path / "log"))
    assert block.read() == before, "a second time there is nothing to settle"


def test_events_that_another_worker_appended_since_are_not_counted_again(tmp_path: Path) -> None:
    block = CounterBlock.create()
    _killed(tmp_path, block)
    block.add(5, _RECEIVED, "1", "3")

    async def run() -> None:
        async with live_intake(tmp_path) as logs:
            await _post(logs, 3, 9)

    asyncio.run(run())
    assert _settled(tmp_path, block)[_STORED, "1", "3"] == 2


def test_relayed_events_are_not_counted(tmp_path: Path) -> None:
    block = CounterBlock.create()
    block.add(4, _RECEIVED, "1", "2")
    relayed = b'{"id":"0123456789abcdef-1","portal_id":1,"prop_id":2}\n'

    async def run() -> None:
        async with live_log(tmp_path / "log/00") as committer:
            block.values[block.slot("place", "00")] = pack(committer.durable)
            await committer.append(relayed)

    asyncio.run(run())
    assert _settled(tmp_path, block) == {(_SHED, "1", "2", "worker_died"): 4}


@pytest.mark.parametrize("shard", ["00", "gone"])
def test_a_log_that_cant_be_read_leaves_all_events_shed(tmp_path: Path, shard: str) -> None:
    Log(str(tmp_path / "log/00")).close()
    (tmp_path / "log/00/log.json").write_text("broken")
    block = CounterBlock.create()
    block.add(4, _RECEIVED, "1", "2")
    block.values[block.slot("place", shard)] = pack(Position(1, 64, 1))
    assert LogFolder(Files(), str(tmp_path / "log/00")).segments()
    assert _settled(tmp_path, block) == {(_SHED, "1", "2", "worker_died"): 4}
