"""A collector under load whose disk runs full, or stands still: it refuses, loses nothing, and goes on by itself."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.crash.load import Load
from tests.crash.oracle import check_delivery
from tests.crash.tally import Tally
from tests.crash.volume import Volume, filled, memory, settings, volume
from tests.running import Collector, Response, eventually, running

_DISK_BYTES: Final = 64 << 20
_CONNECTIONS: Final = 32
_EVENTS: Final = 300
_STALL_SECONDS: Final = 0.5
_EVENT: Final = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_NO_END: Final = 10**9
_SHED: Final = (503, "1")
_POLL_SECONDS: Final = 0.01
_PROBES: Final = 64
_PROBE_SECONDS: Final = 0.1


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=[pytest.mark.torture, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("min_free_bytes", [4 << 20, 0])
def test_a_full_disk_means_503_until_there_is_room_without_a_restart(
    tmp_path: Path, min_free_bytes: int, times: int, tally: Tally
) -> None:
    with memory(tmp_path / "data", _DISK_BYTES):
        _put_the_sink_elsewhere(tmp_path)
        with running(tmp_path, settings=settings(min_free_bytes=min_free_bytes)) as collector:
            workers = collector.workers()
            load = asyncio.run(_fill_and_empty(collector, times))
            assert collector.workers() == workers, collector.said
            check_delivery(collector, load, tally, faults=times)
            kept = [*collector.stored(), *collector.shipped()]
            refused = {record["event"]["uid"] for record in kept} & load.refused
            assert refused == set(), "refused and kept"


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_disk_that_stands_still_sheds_new_requests_and_answers_those_that_wait(
    tmp_path: Path, kind: str, tally: Tally
) -> None:
    with volume(tmp_path / "data", kind, tmp_path / "image") as disk:
        _put_the_sink_elsewhere(tmp_path)
        impatient = settings(stall_seconds=_STALL_SECONDS)
        with running(tmp_path, settings=impatient) as collector, ThreadPoolExecutor(_PROBES) as pool:
            load = asyncio.run(_freeze_and_thaw(collector, disk, pool))
            check_delivery(collector, load, tally, faults=1)


@pytest.mark.parametrize("is_first", [True, False], ids=["the first start", "a later start"])
def test_a_start_on_a_full_disk_answers_503_until_there_is_room_without_a_restart(
    tmp_path: Path, is_first: bool
) -> None:
    with memory(tmp_path / "data", _DISK_BYTES), ThreadPoolExecutor(1) as pool:
        _put_the_sink_elsewhere(tmp_path)
        collector = Collector(tmp_path, settings=settings(min_free_bytes=0))
        try:
            if not is_first:
                collector.start()
                assert collector.stop() == 0  # which leaves no reservation that a start could give back
            with filled(collector.folder / "data"):
                starting = pool.submit(collector.start)
                eventually(lambda: _is_shed(collector), "events are answered 503")
                assert _outcome(collector.post(_EVENT)) == _SHED
                assert collector.send("GET", "/openapi.json").status == 200
                workers = collector.workers()
            starting.result()
            eventually(lambda: collector.post(_EVENT).status == 200, "there is room")
            assert collector.workers() == workers, collector.said
            assert 1 <= collector.said.count("the log can't be opened yet") <= len(workers)
            assert "No space left on device" in collector.said
            assert collector.stop() == 0
            assert {record["event"]["uid"] for record in collector.stored()} == {"u"}
            assert len(collector.shipped()) == len(collector.stored())
        finally:
            if collector.process.poll() is None:
                collector.kill()


async def _fill_and_empty(collector: Collector, times: int) -> Load:
    load = Load(collector.port, _NO_END, _CONNECTIONS)
    running_load = asyncio.create_task(load.run())
    for _ in range(times):
        await load.reached(len(load.acknowledged) + _EVENTS)
        with filled(collector.folder / "data") as fill:
            refused = len(load.refused)
            while len(load.refused) < refused + _EVENTS:
                fill()  # what rotation gives back, too
                await asyncio.sleep(_POLL_SECONDS)
        started, acknowledged = time.monotonic(), len(load.acknowledged)
        await load.reached(acknowledged + 1)
        print(f"the first 200 came {time.monotonic() - started:.2f} s after there was room")
        await load.reached(acknowledged + _EVENTS)
    load.finish()
    await running_load
    return load


async def _freeze_and_thaw(collector: Collector, disk: Volume, pool: ThreadPoolExecutor) -> Load:
    load = Load(collector.port, _NO_END, _CONNECTIONS)
    running_load = asyncio.create_task(load.run())
    await load.reached(_EVENTS)
    with disk.frozen():
        probes = await _probe_until_shed(collector, load, pool)
        shed = {uid for uid, probe in probes.items() if probe.done()}
        assert {_outcome(probes[uid].result()) for uid in shed} == {_SHED}
        waiting = load.sent - load.acknowledged - load.refused - shed
    load.acknowledged |= {uid for uid, probe in probes.items() if (await probe).status == 200}
    await load.reached(len(load.acknowledged) + _EVENTS)
    load.finish()
    await running_load
    assert len(waiting) >= _CONNECTIONS
    assert waiting <= load.acknowledged
    return load


async def _probe_until_shed(
    collector: Collector, load: Load, pool: ThreadPoolExecutor
) -> dict[str, asyncio.Future[Response]]:
    """Send one event after another, each on a connection of its own, until one is answered; by uid."""
    probes: dict[str, asyncio.Future[Response]] = {}
    while not any(probe.done() for probe in probes.values()):
        uid = f"probe-{len(probes)}"
        event = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": uid}
        load.sent.add(uid)
        probes[uid] = asyncio.get_running_loop().run_in_executor(pool, collector.post, event)
        await asyncio.wait(probes.values(), timeout=_PROBE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    return probes


def _is_shed(collector: Collector) -> bool:
    try:
        return collector.post(_EVENT).status == 503
    except OSError:  # it does not listen yet
        return False


def _outcome(response: Response) -> tuple[int, str | None]:
    return response.status, response.headers.get("retry-after")


def _put_the_sink_elsewhere(folder: Path) -> None:
    """The disk of the log is the one that fails."""
    (folder / "events").mkdir()
    (folder / "data/events").symlink_to(folder / "events")
