"""What the shipper does where not the sink fails but the log, the cursor, the state file, or its own code."""

import asyncio
import errno
import logging
import os
import re
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from collector.errors import SinkError
from collector.ship.health import Health, health_path, load_health
from collector.ship.shipper import Shipper
from collector.ship.supervise import supervised
from tests.collector.live_log import live_log
from tests.collector.ship.test_shipper import (
    LINE_BYTES,
    NAME,
    PATIENCE_SECONDS,
    FakeDeadLetters,
    Recording,
    _append,
    _numbers,
    _shipper,
)
from wal.committer import Committer
from wal.files import Files

_EVENTS = 24
_CALLS = ("open", "names", "read")


class Failing(Files):
    """Real files, whose calls of one kind fail as they are told, from `arm` on."""

    def __init__(self) -> None:
        self.fired = 0
        self._call = ""
        self._skipped = self._times = 0
        self._fault: Exception = OSError()

    def arm(self, call: str, fault: int | Exception, *, after: int = 0, times: int = 1) -> None:
        """Let `after` calls pass, and fail so many from then on."""
        self._fault = OSError(fault, os.strerror(fault)) if isinstance(fault, int) else fault
        self._call, self._skipped, self._times = call, after, times

    def _meet(self, call: str, path: str = "") -> None:
        if call != self._call:
            return
        if self._skipped:
            self._skipped -= 1
        elif self._times:
            self._times -= 1
            self.fired += 1
            if isinstance(self._fault, OSError) and path:
                raise OSError(self._fault.errno, self._fault.strerror, path)
            raise self._fault

    def open(self, path: str, *, write: bool = False) -> int:
        self._meet("open", path)
        return super().open(path, write=write)

    def names(self, directory: str) -> list[str]:
        self._meet("names", directory)
        return super().names(directory)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        self._meet("read")
        return super().read(descriptor, length, offset)

    def create(self, path: str) -> int:
        self._meet("create", path)
        return super().create(path)


def _deliver_with_fault(folder: Path, call: str, fault: int, after: int) -> tuple[Recording, int]:
    """What arrives of a log with many segments if one call fails while it is shipped; and how often it failed."""

    async def ship() -> tuple[Recording, int]:
        sink, files = Recording(), Failing()
        async with live_log(folder, files=files, segment_bytes=3 * (LINE_BYTES + 148)) as committer:
            await _append(committer, 1, _EVENTS)
            await committer.close()
            files.arm(call, fault, after=after)
            shipper = _shipper(sink, committer, flush_bytes=4 * LINE_BYTES)
            shipper.drain()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await shipper.run()
            return sink, files.fired

    return asyncio.run(ship())


def _check_arrived(sink: Recording) -> None:
    assert _numbers(sink.arrived) == list(range(1, _EVENTS + 1))
    assert sink.attempts == sink.arrived


@pytest.mark.parametrize("fault", [errno.EMFILE, errno.EIO], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", _CALLS)
@pytest.mark.parametrize("after", [0, 3, 8])
def test_a_call_of_the_reader_that_fails_is_made_again_and_nothing_is_skipped(
    tmp_path: Path, call: str, fault: int, after: int
) -> None:
    sink, fired = _deliver_with_fault(tmp_path, call, fault, after)
    assert fired == 1
    _check_arrived(sink)


@pytest.mark.torture
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", _CALLS)
def test_every_call_of_the_reader_may_fail(tmp_path: Path, call: str, fault: int) -> None:
    after, fired = 0, 1
    while fired:
        sink, fired = _deliver_with_fault(tmp_path / f"{after}", call, fault, after)
        _check_arrived(sink)
        after += 1
    assert after > 8


async def _eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _supervised(shipper: Shipper, end_worker: Any = None) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(supervised(shipper, end_worker))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


def _state(committer: Committer) -> str | None:
    """None while a new file has no content yet."""
    health = load_health(committer.log.folder.path, NAME)
    return health.state if health else None


def _health(committer: Committer) -> Health:
    health = load_health(committer.log.folder.path, NAME)
    assert health
    return health


@pytest.mark.parametrize(
    ("call", "fault", "error"),
    [
        ("open", errno.EMFILE, r": Too many open files$"),
        ("names", errno.EIO, r"Input/output error$"),
        ("read", errno.EIO, r"seg-\d+-\d+\.ndjson: at byte 0: Input/output error; the disk is failing"),
        ("create", errno.ENOSPC, r"cursors/recording\.json\.tmp: No space left on device$"),
    ],
)
def test_while_the_log_fails_the_sink_is_shown_as_down_and_why_and_then_as_up(
    tmp_path: Path, call: str, fault: int, error: str
) -> None:
    async def ship() -> Recording:
        sink, files = Recording(), Failing()
        async with live_log(tmp_path, files=files) as committer:
            await _append(committer, 1, 3)
            files.arm(call, fault, times=1_000_000)
            async with _supervised(_shipper(sink, committer)):
                await _eventually(lambda: load_health(str(tmp_path), NAME))
                await _eventually(lambda: _health(committer).state == "retrying")
                assert re.search(error, _health(committer).error)
                await _eventually(lambda: _health(committer).state == "down")
                files.arm("", 0)
                await sink.holds(3)
                await _eventually(lambda: _health(committer).state == "up")
        return sink

    assert _numbers(asyncio.run(ship()).arrived) == [1, 2, 3]


@contextmanager
def _no_descriptors() -> Iterator[None]:
    """No file can be opened in this process, as when it has used up its descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # not 0: a thread that another test left would fail to poll a single descriptor
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_without_descriptors_still_shows_its_sink_as_down(tmp_path: Path) -> None:
    async def ship() -> None:
        sink = Recording()
        async with live_log(tmp_path) as committer, _supervised(_shipper(sink, committer)):
            await _eventually(lambda: (health := load_health(str(tmp_path), NAME)) and health.state == "up")
            file = os.open(health_path(str(tmp_path), NAME), os.O_RDONLY)
            try:
                with _no_descriptors():
                    await _append(committer, 1, 3)
                    await _eventually(lambda: b'"state":"down"' in os.pread(file, 4096, 0))
                await sink.holds(3)
                await _eventually(lambda: _health(committer).state == "up")
            finally:
                os.close(file)

    asyncio.run(ship())


def test_a_shipper_that_ends_leaves_no_descriptor_of_its_health_open(tmp_path: Path) -> None:
    def is_open() -> bool:
        links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
        return any(link.startswith(f"{tmp_path}/sinks/") for link in links)

    async def ship() -> None:
        async with live_log(tmp_path) as committer:
            async with _supervised(_shipper(Recording(), committer)):
                await _eventually(lambda: load_health(str(tmp_path), NAME))
                assert is_open()
            assert not is_open()

    asyncio.run(ship())


def test_a_log_that_can_be_read_again_shows_the_sink_as_up_also_where_nothing_is_owed(tmp_path: Path) -> None:
    async def ship() -> None:
        files = Failing()
        async with live_log(tmp_path, files=files) as committer:
            files.arm("open", errno.EMFILE, times=3)
            async with _supervised(_shipper(Recording(), committer)):
                await _eventually(lambda: files.fired)
                await _eventually(lambda: _health(committer).state == "up" and _health(committer).error)

    asyncio.run(ship())


def test_a_shipper_that_a_bug_ends_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def ship() -> Recording:
        sink, files = Recording(), Failing()
        async with live_log(tmp_path, files=files) as committer:
            await _append(committer, 1, 3)
            files.arm("open", ZeroDivisionError("a bug"), times=2)
            async with _supervised(_shipper(sink, committer)):
                await sink.holds(3)
                await _eventually(lambda: _health(committer).state == "up")
        return sink

    assert _numbers(asyncio.run(ship()).arrived) == [1, 2, 3]
    messages = [record.getMessage() for record in caplog.records if record.exc_info]
    assert messages == [f"sink {NAME}: it ended by a bug, {times} times in a row" for times in (1, 2)]


@pytest.mark.parametrize("has_worker", [True, False])
def test_a_shipper_that_bugs_end_again_and_again_says_stopped_and_ends_the_worker(
    tmp_path: Path, has_worker: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ends: list[Exception] = []

    async def ship() -> Health:
        files = Failing()
        async with live_log(tmp_path, files=files) as committer:
            await _append(committer, 1, 1)
            files.arm("open", ZeroDivisionError("a bug"), times=1_000_000)
            shipper = _shipper(Recording(), committer)
            async with _supervised(shipper, ends.append if has_worker else None) as task:
                await _eventually(lambda: files.fired == 6 and _health(committer).state == "stopped")
                if has_worker:
                    await _eventually(lambda: ends)
                assert not task.done(), "it holds its lock until the worker lets it go"
                shipper.drain()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await task
                return _health(committer)

    assert asyncio.run(ship()).error == "a bug"
    assert [NAME in str(end) and "a bug" in str(end) for end in ends] == [True] * has_worker
    stopped = [message for message in caplog.messages if message.startswith(f"sink {NAME} stopped: ")]
    assert len(stopped) == (not has_worker), "the end of the worker is a line of its own"


def test_a_cursor_that_is_damaged_stops_the_sink_until_the_worker_ends(tmp_path: Path) -> None:
    async def ship() -> Health:
        (tmp_path / "cursors").mkdir()
        (tmp_path / f"cursors/{NAME}.json").write_text("{}\n")
        async with live_log(tmp_path) as committer:
            shipper = _shipper(Recording(), committer)
            async with _supervised(shipper) as task:
                await _eventually(lambda: (health := load_health(str(tmp_path), NAME)) and health.state == "stopped")
                shipper.drain()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await task
            return _health(committer)

    assert "expected a cursor with its CRC" in asyncio.run(ship()).error


def test_a_state_that_could_not_be_written_is_written_later_and_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    path = Path(health_path(str(tmp_path), NAME))
    path.mkdir(parents=True)  # a folder in the file's place

    async def ship() -> None:
        async with live_log(tmp_path) as committer:
            shipper = Shipper(
                NAME, Recording(), committer, FakeDeadLetters(), flush_bytes=1, flush_seconds=60, patience_seconds=0.05
            )
            async with _supervised(shipper):
                await _append(committer, 1, 3)
                await _eventually(lambda: shipper.passed and shipper.passed.sequence == 4)
                os.rmdir(path)
                await _eventually(lambda: _state(committer) == "up")

    asyncio.run(ship())
    assert [message for message in caplog.messages if "state" in message or str(path) in message] == [
        f"{path}: Is a directory; it is written again soon"
    ]
    assert "None:" not in caplog.text


class Hanging(Recording):
    """A sink whose next attempt hangs until it is let go."""

    def __init__(self, call: str, before: list[BaseException] | None = None) -> None:
        super().__init__(before=before)
        self.call = call
        self.go = asyncio.Event()

    async def open(self, log_id: str, sequence: int) -> Any:
        if self.call == "open":
            await self.go.wait()
        return await super().open(log_id, sequence)

    async def deliver(self, batch: Any) -> None:
        if self.call == "deliver":
            await self.go.wait()
        await super().deliver(batch)


def test_a_sink_is_left_between_two_attempts_and_never_within_one(tmp_path: Path) -> None:
    async def ship() -> Recording:
        sink = Hanging("deliver", before=[SinkError("no answer in 30 s")])
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 3)
            await committer.close()
            shipper = Shipper(
                NAME, sink, committer, FakeDeadLetters(), flush_bytes=1, flush_seconds=60, patience_seconds=0.05
            )
            shipper.drain(gives_up=lambda: True)
            async with _supervised(shipper) as task:
                await _eventually(lambda: (health := load_health(str(tmp_path), NAME)) and health.state == "waiting")
                assert not task.done()
                sink.go.set()
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await task
                assert shipper.health.state == "retrying"
        return sink

    sink = asyncio.run(ship())
    assert (sink.arrived, sink.closed > 0) == ([], True)


@pytest.mark.parametrize(("call", "purpose"), [("open", "the attempt to open it"), ("deliver", "events 1 to 1")])
def test_a_sink_that_hangs_shows_as_waiting_before_it_fails(
    tmp_path: Path, call: str, purpose: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def ship() -> None:
        sink = Hanging(call)
        async with live_log(tmp_path) as committer:
            await _append(committer, 1, 1)
            shipper = Shipper(
                NAME, sink, committer, FakeDeadLetters(), flush_bytes=1, flush_seconds=60, patience_seconds=0.05
            )
            async with _supervised(shipper):
                await _eventually(lambda: (health := load_health(str(tmp_path), NAME)) and health.state == "waiting")
                assert _health(committer).error == f"no answer yet to {purpose}"
                sink.go.set()
                await sink.holds(1)
                await _eventually(lambda: _health(committer).state == "up")

    asyncio.run(ship())
    assert sum("no answer yet" in message for message in caplog.messages) == 1
