"""A collector under load that runs out of room, inodes or file descriptors, or whose disk stands still: it refuses,
loses nothing, and goes on by itself."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.crash.load import Load
from tests.crash.oracle import check_delivery
from tests.crash.tally import Tally
from tests.crash.volume import Volume, filled, memory, read_only, settings, volume, without_inodes
from tests.running import PATIENCE_SECONDS, PROGRAMS, Collector, Response, eventually, running

_DISK_BYTES: Final = 64 << 20
_INODES: Final = 2000
_CONNECTIONS: Final = 32
_EVENTS: Final = 300
_STALL_SECONDS: Final = 0.5
_EVENT: Final = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": "u"}
_NO_END: Final = 10**9
_SHED: Final = (503, "1")
_POLL_SECONDS: Final = 0.01
_PROBES: Final = 600
"""At most, a minute's. A worker that does not get to run takes all that were sent meanwhile in one turn, in which it
does not know yet that the disk stands still."""
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
            assert collector.workers() == workers, collector.stderr
            check_delivery(collector, load, tally, faults=times)
            kept = [*collector.stored(), *collector.shipped()]
            refused = {record["event"]["uid"] for record in kept} & load.refused
            assert refused == set(), "refused and kept"


@pytest.mark.parametrize(
    ("kind", "has_ids"),
    [
        ("ext4", False),
        ("xfs", True),
        pytest.param("ext4", True, marks=pytest.mark.torture),
        pytest.param("xfs", False, marks=pytest.mark.torture),
    ],
)
def test_a_disk_that_stands_still_sheds_new_requests_and_answers_those_that_wait(
    tmp_path: Path, kind: str, has_ids: bool, tally: Tally
) -> None:
    with volume(tmp_path / "data", kind, tmp_path / "image") as disk:
        _put_the_sink_elsewhere(tmp_path)
        impatient = settings(stall_seconds=_STALL_SECONDS, ids=tmp_path / "ids" if has_ids else None)
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
                assert _reason(collector) == "log_not_open"
                workers = collector.workers()
            starting.result()
            eventually(lambda: collector.post(_EVENT).status == 200, "there is room")
            assert collector.workers() == workers, collector.stderr
            assert 1 <= collector.stderr.count("the log can't be opened yet") <= len(workers)
            assert "No space left on device" in collector.stderr
            assert collector.stop() == 0
            assert {record["event"]["uid"] for record in collector.stored()} == {"u"}
            assert len(collector.shipped()) == len(collector.stored())
        finally:
            if collector.process.poll() is None:
                collector.kill()


def test_health_follows_a_disk_that_runs_full_and_is_freed_though_no_event_comes(tmp_path: Path) -> None:
    with memory(tmp_path / "data", _DISK_BYTES):
        _put_the_sink_elsewhere(tmp_path)
        with running(tmp_path, workers=1, settings=settings(min_free_bytes=4 << 20)) as collector:
            for _ in range(2):
                assert _reason(collector) is None
                with filled(collector.folder / "data"):
                    eventually(lambda: _reason(collector) == "disk_full", "health is red")
                eventually(lambda: _reason(collector) is None, "health is green again")


def test_a_collector_that_waits_for_room_stops_when_it_is_told_to(tmp_path: Path) -> None:
    with memory(tmp_path / "data", _DISK_BYTES), filled(tmp_path / "data"), ThreadPoolExecutor(1) as pool:
        collector = Collector(tmp_path, settings=settings(min_free_bytes=0))
        starting = pool.submit(collector.start)
        try:
            eventually(lambda: _is_shed(collector), "events are answered 503")
            assert collector.stop() == 0
        finally:
            if collector.process.poll() is None:
                collector.kill()
            wait([starting])
        assert "Traceback" not in collector.stderr


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=[pytest.mark.torture, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_a_disk_without_inodes_means_503_until_there_are_some_without_a_restart(
    tmp_path: Path, kind: str, times: int, tally: Tally
) -> None:
    """The sink is on this disk too, so that its files and its state find no inode either."""
    data = tmp_path / "data"
    disk = memory(data, _DISK_BYTES, _INODES) if kind == "tmpfs" else volume(data, kind, tmp_path / "image", _INODES)
    with disk, running(tmp_path, settings=settings(min_free_bytes=0)) as collector:
        workers = collector.workers()
        load = asyncio.run(_fill_and_empty(collector, times, without_inodes))
        assert collector.workers() == workers, collector.stderr
        eventually(
            lambda: "inodes are free" in collector.stderr, "the process log tells it, which it does once a second"
        )
        check_delivery(collector, load, tally, faults=times)


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=[pytest.mark.torture, pytest.mark.timeout(600)])])
def test_a_want_of_file_descriptors_means_503_at_a_rotation_and_ends_no_worker(
    tmp_path: Path, times: int, tally: Tally
) -> None:
    with running(tmp_path, settings=settings()) as collector:
        workers = collector.workers()
        load = asyncio.run(_fill_and_empty(collector, times, lambda _: _without_descriptors(workers)))
        assert collector.workers() == workers, collector.stderr
        assert "fsync failed" not in collector.stderr
        check_delivery(collector, load, tally, faults=times)


def test_delivered_segments_are_given_up_before_a_request_is_shed(tmp_path: Path) -> None:
    """The events are more than the disk holds, and retention would keep them for a day."""
    with memory(tmp_path / "data", _DISK_BYTES):
        _put_the_sink_elsewhere(tmp_path)
        with running(tmp_path, workers=1, settings=settings(min_free_bytes=8 << 20)) as collector:
            event = {**_EVENT, "extra": {"text": "x" * 60_000}}
            sent = _DISK_BYTES // 60_000 * 3 // 2
            for number in range(sent):
                assert collector.post(event).status == 200, collector.stderr
                if number % 200 == 0:  # what is not delivered yet can't be given up
                    eventually(lambda n=number: len(collector.shipped()) > n, "the sink has caught up")
            assert "are given up before their retention is over" in collector.stderr
            assert collector.stop() == 0
            assert len(collector.shipped()) == sent
            assert 0 < len(collector.stored()) < sent


def test_a_start_on_a_read_only_disk_ends_with_the_cause(tmp_path: Path) -> None:
    with memory(tmp_path / "data", _DISK_BYTES):
        _put_the_sink_elsewhere(tmp_path)
        with running(tmp_path, settings=settings()) as collector:
            assert collector.stop() == 0
        with read_only(tmp_path / "data"):
            command = [str(PROGRAMS / "collector"), "serve", "--config", str(tmp_path / "collector.toml")]
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 3
    assert "the disk is mounted read-only; mount it writable" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@contextmanager
def _without_descriptors(workers: list[psutil.Process]) -> Iterator[Callable[[], None]]:
    """These processes can open no file until this ends."""
    before = [worker.rlimit(psutil.RLIMIT_NOFILE) for worker in workers]
    for worker, (_, hard) in zip(workers, before, strict=True):
        worker.rlimit(psutil.RLIMIT_NOFILE, (0, hard))
    try:
        yield lambda: None
    finally:
        for worker, limits in zip(workers, before, strict=True):
            worker.rlimit(psutil.RLIMIT_NOFILE, limits)


async def _fill_and_empty(
    collector: Collector, times: int, exhausted: Callable[[Path], AbstractContextManager[Callable[[], None]]] = filled
) -> Load:
    """Keep up a load while the resource that `exhausted` takes away is gone so many times, each until events are shed.

    `exhausted` takes the folder of the data, and gives what takes away again what others let go.
    """
    load = Load(collector.port, _NO_END, _CONNECTIONS)
    running_load = asyncio.create_task(load.run())
    for _ in range(times):
        await load.reached(len(load.acknowledged) + _EVENTS)
        with exhausted(collector.folder / "data") as fill:
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
        event = {"ea": "view", "ec": "product", "sid": 1, "aid": "a", "uid": uid, "event_id": uid}
        load.sent.add(uid)
        probes[uid] = asyncio.get_running_loop().run_in_executor(pool, collector.post, event)
        await asyncio.wait(probes.values(), timeout=_PROBE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    return probes


def _is_shed(collector: Collector) -> bool:
    try:
        return collector.post(_EVENT).status == 503
    except OSError:  # it does not listen yet
        return False


def _reason(collector: Collector) -> str | None:
    """Why the worker that responds is not ready."""
    reason: str | None = collector.send("GET", "/healthz").json().get("reason")
    return reason


def _outcome(response: Response) -> tuple[int, str | None]:
    return response.status, response.headers.get("retry-after")


def _put_the_sink_elsewhere(folder: Path) -> None:
    """The disk of the log is the one that fails."""
    (folder / "events").mkdir()
    (folder / "data/events").symlink_to(folder / "events")
